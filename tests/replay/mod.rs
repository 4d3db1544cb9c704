//! Replaying bundles: any order, any repetition and any interruption end in the same content. On
//! bundles made by hand, on each kind of instance.
//!
//! With `BLOBDELTA_TEST_SQLSERVER=<connection string>` on that server too, in databases of its own
//! whose names begin with `Replay_`; without it these are reported as skipped, by name and count.

mod attacks;
mod bundles;
mod commit_group;
mod compact;
pub mod cut;
mod existing;
mod masked;
mod model;
mod order;
mod own;
mod place;
mod refused;
mod reported;
mod scopes;
mod target;
mod values;
mod weeks;

use crate::{ALONE_ON_SERVER, List, SERVER};
use place::Place;
use std::sync::PoisonError;

type Case = fn(&Place);

const ON_BOTH: &[(&str, Case)] = list![Case:
    attacks {
        attack_a_second_source_does_not_write_over_the_first_one_s_rows,
        attack_another_name_for_the_same_source_table_is_no_other_target,
        attack_two_source_tables_that_lead_to_one_target_are_told_apart,
        attack_deletions_of_another_source_remove_nothing,
        attack_a_gap_behind_an_allowed_source_is_still_a_gap,
        attack_tables_and_databases_of_ours_and_of_the_server_are_never_targets,
        attack_a_view_is_no_target,
        attack_databases_of_ours_are_no_targets_under_another_name,
    }
    bundles {
        values_inline_and_in_blob_arrive_whole_and_once,
        a_gap_is_refused_and_a_late_older_bundle_is_not,
        a_changed_bundle_is_refused_before_anything_is_written,
        another_database_of_the_instance_can_be_the_target,
    }
    masked { rule_29_masked_weeks_are_replayed_as_others_are_and_never_meet_them }
    model { rule_14_whatever_the_order_the_latest_stands }
    order {
        bundles_are_applied_by_their_links_and_not_by_windows,
        a_chain_begins_with_its_first_bundle_and_what_fills_a_gap_clears_the_note,
        a_chain_begins_with_a_compacted_bundle_that_was_made_from_its_start,
        what_is_compacted_over_a_gap_says_so_until_what_was_missing_comes,
        what_was_missing_may_come_compacted,
        a_bundle_from_the_beginning_of_time_begins_no_chain,
        a_chain_that_forks_is_reported_and_circles_are_refused,
    }
    own {
        a_table_that_was_dropped_is_filled_again,
        what_was_changed_by_hand_is_what_the_bundles_say_after_a_repair,
    }
    refused {
        attack_a_replay_into_the_source_is_refused_unless_it_is_meant,
        a_replay_that_fails_leaves_nothing_that_it_made,
        a_plan_and_a_replay_refuse_what_would_keep_rows_out,
        a_row_that_a_trigger_ignores_is_not_counted_but_named,
        a_table_of_another_schema_has_its_place,
    }
    scopes {
        rule_17_what_left_one_chain_stays_where_another_has_it,
        rule_14_among_chains_the_whole_row_outranks_a_part_of_the_same_stamp,
        rule_17_whatever_the_order_of_several_chains_what_stands_in_the_source_stands,
        rule_18_a_target_of_one_unit_that_gets_rows_of_others_says_so_once,
    }
    target {
        rule_14_the_latest_version_stands_whatever_came_first,
        rule_14_between_chains_the_whole_row_wins_and_what_is_left_is_what_its_chain_has,
        rule_15_a_tombstone_that_came_first_still_wins,
        a_batch_out_of_its_place_changes_nothing,
        a_target_that_would_cut_values_is_refused,
        what_was_noted_of_a_bundle_stays,
        of_one_key_twice_in_a_batch_the_later_version_stands,
    }
    existing {
        an_existing_table_keeps_its_columns_and_its_versions_beside_it,
        a_row_in_the_way_is_named_or_displaced,
        a_row_in_the_way_that_cannot_be_removed_is_named,
        of_two_rows_in_each_other_s_way_the_later_stands_in_any_order,
        a_plan_says_what_a_replay_then_does,
        a_check_finds_what_was_changed_since,
        what_a_gap_allowed_is_kept_with_the_bundle,
        a_bundle_after_a_stranger_is_refused,
    }
    values {
        every_size_arrives_whole,
        every_type_comes_back_as_it_went,
    }
    weeks {
        eight_weeks_with_one_late_and_one_twice,
        killed_at_random_moments_it_goes_on_where_it_was,
    }
];

const EMBEDDED_ALONE: &[(&str, Case)] = list![Case:
    attacks {
        attack_no_spelling_and_no_link_makes_two_targets_of_one,
        attack_a_link_makes_no_database_elsewhere,
    }
    own {
        columns_named_as_the_rowid_lead_to_no_other_row,
        a_key_that_is_the_rowid_is_unique_by_itself,
        whatever_looks_at_a_row_sees_its_large_value,
        a_value_that_must_be_whole_and_does_not_fit_is_refused_before_anything_is_written,
        a_type_whose_affinity_changes_values_is_refused_with_its_mend,
        no_row_goes_by_a_constraint_s_own_clause,
        rows_that_an_index_of_expressions_keeps_apart_are_named_or_displaced,
        rows_that_swap_unique_values_stay_what_they_are,
        version_columns_without_the_others_are_reported,
        a_trigger_that_undoes_what_was_written_is_reported,
        a_failed_replay_drops_no_table_that_is_not_its_own,
    }
    reported {
        tables_that_failed_are_reported_by_whoever_takes_the_bundle,
        a_chain_that_forks_is_reported_by_whoever_takes_it_together,
    }
    bundles {
        replays_that_make_one_target_at_the_same_time_end_whole,
        replays_of_one_bundle_at_the_same_time_end_whole_or_say_why,
        a_replay_that_takes_back_its_database_takes_nothing_of_another,
    }
    commit_group {
        a_replay_that_died_at_any_commit_is_taken_up_where_it_was,
        what_fails_within_a_transaction_takes_rows_and_ledger_with_it,
        killed_with_half_a_transaction_written_out_it_goes_on_where_it_was,
    }
    compact {
        one_bundle_gives_what_many_give,
        what_makes_no_chain_is_not_compacted,
        a_moved_folder_stands_before_what_lies_in_it,
    }
];

const SERVER_ALONE: &[(&str, Case)] = list![Case:
    cut {
        a_connection_cut_anywhere_costs_that_batch_alone,
        a_replay_that_lost_its_server_is_taken_up_where_it_was,
    }
    refused { columns_that_a_server_counts_are_refused_and_those_that_it_computes_skipped }
    values { a_text_is_never_changed_in_silence }
];

/// The list of this folder.
pub fn list() -> List {
    let server = std::env::var(SERVER).ok().filter(|string| !string.is_empty());
    let mut list = List::new("replay");
    for (name, case) in ON_BOTH.iter().chain(EMBEDDED_ALONE) {
        list.add(&format!("embedded::{name}"), None, || case(&Place::embedded()));
    }
    for (name, case) in ON_BOTH.iter().chain(SERVER_ALONE) {
        let skipped = server.is_none().then(|| format!("{SERVER} is not set"));
        let string = server.clone().unwrap_or_default();
        list.add(&format!("sqlserver::{name}"), skipped, || {
            let _alone = ALONE_ON_SERVER.lock().unwrap_or_else(PoisonError::into_inner);
            case(&Place::server(string));
        });
    }
    list
}
