//! The one list. A scenario that stands in none of its parts is code that nothing calls, which the lints refuse.

use crate::scenarios::instance::Instance;
use crate::scenarios::{
    ahead, ancestors, attacks, batches, binaries, bundles, deletions, destinations, drift, failures, flagged, give_up,
    hidden, history, keys, known, known_readers, leases, left_folders, metadata, names, not_reported, places,
    procedures, prune, reconcile, roots, scopes, servers, shipping, slice_tables, slices, stamps, suspect, takes, tree,
    triggers, types, units, upkeep, values, views, weeks, whose, windows,
};

/// Builds a [`World`](crate::scenarios::world::World) or more on the instance, and panics where it ends wrong.
pub type Scenario = fn(&Instance);

/// Scenarios that are of uniqueidentifier, by the statements that they make or by what they say of keys.
pub const OF_GUIDS: &[&str] = &[
    "rule_3_integers_of_every_size_and_sign_go_the_whole_way",
    "rule_3_a_key_of_a_type_that_none_can_have_is_refused_with_those_that_can",
    "rule_3_what_somebody_writes_of_integers_is_an_id_or_named",
    "rule_3_binaries_go_the_whole_way_with_the_zeros_at_their_ends",
    "rule_3_what_somebody_writes_of_binaries_is_an_id_or_named",
    "rule_3_a_binary_of_another_length_than_its_key_column_is_no_key",
    "rule_24_another_column_may_become_the_key",
    "rule_24_keys_of_a_receiver_grow_with_those_of_the_source",
    "rule_7_a_cycle_is_an_error_that_names_its_rows_and_excluding_one_frees_the_others",
    "rule_17_keys_that_wait_cost_no_later_run_anything",
    "rule_20_rows_without_a_key_are_reported",
    "rule_20_two_rows_of_one_key_fail_the_table_by_that_key",
    "rule_21_a_window_whose_keys_have_no_rows_is_suspect_and_moves_nothing",
    "rule_21_of_few_keys_a_sample_of_the_whole_table_decides",
    "rule_21_the_data_says_whether_the_configuration_means_it",
    "rule_24_a_standing_table_follows_only_where_that_is_said",
    "rule_1_a_stamp_that_its_configuration_does_not_fit_is_refused_before_anything_is_written",
    "rule_14_a_stamp_of_another_type_goes_on_where_the_last_one_was",
];

/// Scenarios of paths: of rows that take the place of others, or lie elsewhere without that anything of theirs changed.
pub const OF_PATHS: &[&str] = &[
    "rule_7_a_folder_that_took_the_place_of_an_ancestor_comes_by_its_stamp",
    "rule_7_reconcile_reports_ancestors_out_of_scope_that_are_missing_or_elsewhere",
    "rule_13_a_row_carries_the_key_of_the_folder_that_took_the_place_of_its_own",
    "rule_19_a_run_whose_own_slice_cannot_be_packed_says_so_and_goes_on_when_it_can",
    "rule_24_another_column_may_become_the_path",
    "rule_24_excluded_columns_are_in_no_slice_and_named",
    "rule_24_receivers_have_the_same_whatever_comes_first",
];

/// Scenarios of a `datetime2`: of local time, or of stamps that a statement of theirs writes.
pub const OF_TIMES: &[&str] = &[
    "rule_1_both_changes_of_summer_time_lose_nothing",
    "rule_1_local_time_is_read_in_the_tables_clock",
    "rule_17_keys_that_wait_cost_no_later_run_anything",
    "rule_17_what_left_goes_though_the_server_s_clock_went_back_since",
    "rule_14_a_stamp_of_another_type_goes_on_where_the_last_one_was",
];

/// What holds on every instance.
pub const ON_BOTH: &[(&str, Scenario)] = list![Scenario:
    attacks {
        attack_a_stamp_of_the_year_9999_that_comes_in_between_is_in_no_bundle,
        attack_a_script_that_is_not_the_shipped_one_is_reported,
    }
    stamps {
        rule_1_a_date_counts_as_the_end_of_its_day,
        rule_1_a_stamp_that_its_configuration_does_not_fit_is_refused_before_anything_is_written,
        rule_4_a_row_that_is_stamped_each_day_does_not_starve_and_is_outranked_by_its_deletion,
        rule_14_a_stamp_of_another_type_goes_on_where_the_last_one_was,
        rule_20_a_row_without_both_stamps_is_reported_as_one_without_a_stamp,
        rule_20_what_is_no_stamp_of_its_type_fails_the_table_by_its_key,
        a_template_that_names_a_column_that_is_not_the_stamp_is_refused, doctor_asks_for_one_index_over_both_stamps,
        what_is_stamped_by_day_or_creation_is_reconciled,
    }
    windows {
        rule_1_a_first_load_comes_in_windows, rule_1_rows_of_one_stamp_are_not_parted, rule_1_days_are_not_parted,
        rule_1_a_window_smaller_than_the_buffer_goes_on, rule_1_windows_go_on_after_whatever_stopped_them,
        rule_1_what_a_run_that_went_back_left_is_taken_by_the_next,
        rule_1_a_window_in_the_middle_that_fails_leaves_the_rest_for_the_next_run, rule_1_until_ends_a_run_earlier,
        rule_1_of_several_tables_those_that_were_cut_go_on, rule_4_windows_hold_back_what_one_window_would,
        rule_10_without_a_bundle_there_is_one_window_a_call,
    }
    takes {
        rule_1_the_window_is_half_open_and_exact_to_a_tick, rule_1_a_clock_before_the_last_run_is_refused,
        rule_1_a_clock_that_ran_a_day_ahead_is_reported_and_from_loses_nothing,
        rule_1_both_changes_of_summer_time_lose_nothing, rule_1_local_time_is_read_in_the_tables_clock,
        rule_3_a_key_is_queued_once_with_its_greatest_stamp,
        rule_3_a_row_stamped_again_into_the_buffer_is_held_back_and_comes_next,
        rule_4_a_row_that_is_stamped_before_every_run_does_not_starve,
        rule_5_a_key_without_its_blob_waits_until_it_is_there,
        rule_5_a_logged_deletion_explains_an_absent_blob_unless_it_was_stamped_since,
        rule_5_an_operator_can_ask_for_a_key, rule_5_a_row_without_metadata_is_nobody_s_unless_that_was_asked_for,
        rule_5_metadata_that_goes_between_queue_and_copy_takes_its_row_along,
        rule_6_what_no_window_can_catch_is_reported, rule_6_nothing_is_reported_of_keys_that_are_taken,
        rule_6_the_stamp_of_an_excluded_key_is_nobodys_concern,
    }
    ahead {
        rule_1_a_run_of_a_clock_that_stood_ahead_is_taken_back_and_nothing_is_lost,
        rule_1_of_several_runs_of_a_clock_that_stood_ahead_the_last_is_taken_back_first,
        rule_1_a_run_that_was_yet_to_come_and_completed_nothing_refuses_no_other,
    }
    binaries {
        rule_3_binaries_go_the_whole_way_with_the_zeros_at_their_ends,
        rule_3_what_somebody_writes_of_binaries_is_an_id_or_named,
        rule_3_a_binary_of_another_length_than_its_key_column_is_no_key,
    }
    keys {
        rule_3_integers_of_every_size_and_sign_go_the_whole_way,
        rule_3_a_key_of_a_type_that_none_can_have_is_refused_with_those_that_can,
        rule_3_a_logged_deletion_of_a_key_that_the_column_cannot_have_any_more_is_named_and_wedges_nothing,
        rule_3_a_column_that_is_named_in_another_case_is_the_same_column,
        rule_3_what_somebody_writes_of_integers_is_an_id_or_named, rule_24_another_column_may_become_the_key,
        rule_24_keys_of_a_receiver_grow_with_those_of_the_source,
    }
    leases {
        rule_8_a_resume_takes_the_lease_of_its_own_run_at_once,
        rule_8_of_two_that_resume_a_run_the_later_goes_on_alone,
        rule_8_a_run_that_was_resumed_elsewhere_ends_itself_there,
        rule_8_a_dead_holder_is_taken_over_by_name_and_that_is_reported,
        rule_8_a_run_that_died_has_failed_once_another_has_its_lease, rule_8_a_dead_pack_is_taken_over_by_name,
        rule_8_the_record_of_a_bundle_releases_its_leases,
    }
    drift {
        rule_24_an_added_column_is_in_the_next_bundle_and_told,
        rule_24_each_chain_is_reported_what_changed_since_its_own_last_bundle,
        rule_24_dropped_and_retyped_columns_are_carried,
        rule_24_what_is_in_no_bundle_yet_is_packed_as_it_was,
        rule_24_a_table_that_refuses_changes_fails_and_takes_nothing,
        rule_24_excluded_columns_are_in_no_slice_and_named,
        rule_24_a_change_while_a_run_copies_fails_the_table,
        rule_24_a_slice_follows_by_hand_only_when_nothing_of_it_is_needed,
        rule_24_receivers_have_the_same_whatever_comes_first,
        rule_24_another_column_may_become_the_path,
        rule_24_a_standing_table_follows_only_where_that_is_said,
    }
    metadata {
        rule_24_what_the_metadata_knows_goes_the_whole_way,
        rule_7_an_ancestor_of_another_unit_comes_without_what_its_metadata_says,
        rule_3_of_metadata_rows_with_one_stamp_the_greatest_counts,
        rule_24_columns_of_the_metadata_change_as_those_of_the_source,
        rule_24_columns_of_the_metadata_that_cannot_come_along_are_refused,
        rule_8_a_resumed_run_reads_what_the_metadata_says_with_each_row,
    }
    flagged {
        rule_15_a_flag_is_a_deletion_and_its_row_a_row_again_without_it,
        rule_17_a_flag_is_a_deletion_of_its_unit_and_of_all_units_and_of_no_other,
        rule_7_a_flagged_folder_stays_without_its_content_while_something_lies_in_it,
        rule_7_a_folder_that_is_flagged_with_all_that_lies_in_it_goes_at_once,
        rule_4_a_flag_that_is_stamped_before_every_run_does_not_starve,
        rule_3_a_row_that_is_flagged_since_it_was_queued_is_no_row_and_told_by_the_next_run,
        rule_5_a_flag_without_a_stamp_is_found_and_comes_where_it_is_asked_for,
        rule_6_what_is_flagged_and_told_to_nobody_is_counted_as_its_row_would_be,
        rule_6_what_is_flagged_and_excluded_is_named_and_nobody_is_told,
        rule_5_a_flag_that_is_not_later_than_what_was_shipped_is_reported,
        rule_21_most_rows_of_a_scope_are_not_flagged_at_once,
        a_flag_that_says_nothing_is_refused,
    }
    views { a_source_and_its_metadata_may_be_views }
    triggers { rule_15_what_an_audit_table_has_is_logged_once }
    weeks {
        rule_24_twelve_weeks_of_changes_leave_every_receiver_with_the_source,
    }
    names {
        rule_30_a_table_is_found_under_any_spelling_and_told_as_configured,
        rule_30_a_table_saved_under_another_spelling_is_the_same_table,
        rule_30_what_others_write_under_another_spelling_counts,
        rule_30_what_others_write_of_a_table_that_is_not_configured_is_reported,
    }
    slice_tables {
        a_slice_table_that_was_dropped_is_made_again_by_deploy_as_is_reported,
        a_foreign_table_under_the_slice_s_name_is_called_that,
        doctor_reports_changed_templates_and_those_of_one_table,
    }
    slices {
        rule_8_a_second_run_is_told_who_holds_the_lease, rule_8_who_lost_the_lease_writes_nothing_more,
        rule_8_the_same_run_resumed_twice_is_fenced_by_the_epoch,
        rule_9_a_fresh_run_empties_the_slice_so_that_updates_are_taken, rule_9_every_batch_checks_whose_the_slice_is,
        rule_9_without_a_marker_row_nothing_is_deleted,
        rule_9_a_run_that_a_later_one_of_its_scope_has_passed_is_not_gone_on_with,
        rule_10_a_complete_slice_is_packed_before_it_is_emptied,
        rule_10_start_table_refuses_to_empty_what_must_be_packed,
        rule_11_the_watermark_moves_with_the_complete_slice_and_never_back,
        packing_a_finished_run_again_gives_the_same_root, a_slice_read_over_several_connections_gives_the_same_root,
    }
    tree {
        rule_7_every_ancestor_comes_whatever_its_metadata_or_window,
        rule_7_an_ancestor_of_another_unit_comes_without_its_blob_and_loses,
        rule_7_an_ancestor_stamped_in_the_future_comes_without_its_stamp,
        rule_7_an_ancestor_that_is_held_back_comes_as_a_missing_parent,
        rule_7_what_step_3_leaves_without_a_parent_is_closed_after_it,
        rule_7_parents_that_the_source_lacks_or_that_are_excluded_are_listed,
        rule_7_a_cycle_is_an_error_that_names_its_rows_and_excluding_one_frees_the_others,
        rule_7_a_flat_table_has_step_1_alone, rule_13_two_hundred_levels_stand_in_order,
        a_key_column_of_another_type_is_refused,
    }
    known {
        a_touch_is_not_a_change, what_was_deleted_or_comes_late_is_whole, a_large_value_is_left_out_without_a_file,
        a_unit_leans_on_its_own_chain_and_an_ancestor_without_its_blob_is_no_content,
        what_is_written_again_is_the_same_bundle, options_of_a_run_outweigh_the_table,
        a_run_that_a_wrong_clock_dated_is_forgotten_when_it_is_given_up, receivers_have_what_is_left_out,
        a_column_that_went_and_came_back_is_whole, what_is_asked_for_comes_whole,
        what_is_left_out_and_does_not_stand_is_refused_before_anything_is_applied,
        a_row_that_was_changed_by_hand_gets_its_value_from_a_whole_bundle,
    }
    known_readers {
        what_is_left_out_is_compacted_and_unpacked, large_values_that_are_left_out_come_from_where_they_lie,
        bundles_that_are_given_have_what_a_receiver_lost, a_row_that_comes_whole_later_stops_nothing,
        content_that_is_left_out_counts_only_if_a_bundle_holds_it, a_replay_that_died_before_it_noted_its_bundle_goes_on,
        weeks_in_every_order_lost_late_and_twice_end_equal_or_refused,
        rule_24_a_key_that_is_spelled_otherwise_is_the_same_one_when_bundles_are_compacted,
        a_holder_that_is_lost_stops_nothing_once_its_rows_came_whole,
    }
    units {
        rule_12_a_run_for_one_unit_takes_its_rows_and_moves_its_watermark_alone,
        rule_12_a_unit_that_is_new_in_scope_is_reported_until_a_run_knows_it,
        rule_12_a_unit_that_comes_back_is_new_again,
        rule_12_a_unit_that_nobody_knows_is_refused,
        rule_15_what_is_logged_late_is_reported_once_and_deleted_on_competes,
        rule_15_the_latest_deletion_of_a_key_is_taken,
        rule_15_deletions_are_left_out_where_the_table_says_so,
        rule_16_a_chain_is_of_one_scope,
        a_run_for_a_unit_leaves_out_tables_without_units_and_reports_it,
    }
    deletions {
        rule_15_an_entry_is_due_until_a_scope_has_told_it_whatever_its_logged_at,
        rule_15_a_log_that_begins_anew_and_an_entry_that_is_corrected_are_reported,
        rule_15_what_was_logged_before_anybody_told_deletions_is_due,
        rule_15_a_run_that_dies_or_is_given_up_has_told_nothing,
        rule_15_pruning_keeps_what_a_scope_has_yet_to_be_told,
        rule_15_a_unit_that_has_not_been_told_what_all_units_were_is_reconciled_so,
        attack_a_deletion_of_the_year_9999_buries_no_key,
    }
    scopes {
        rule_17_a_late_blob_comes_to_every_scope_that_waits_for_it,
        rule_17_what_everybody_asks_for_comes_once_to_every_scope,
        rule_17_what_is_asked_for_before_any_watermark_is_kept,
        rule_17_a_key_asked_for_of_one_scope_is_of_no_other,
        rule_17_a_run_that_dies_settles_nothing,
        rule_17_a_late_blob_of_a_row_that_moved_goes_where_the_row_is,
        rule_17_keys_that_wait_cost_no_later_run_anything,
        rule_17_a_run_of_a_unit_moves_no_mark_of_the_table,
        rule_17_a_row_that_left_a_unit_is_reported_to_that_unit_alone,
        rule_17_a_unit_is_told_deletions_of_what_it_has_had,
        rule_17_a_deletion_of_before_does_not_stand_for_what_left,
        rule_17_to_have_left_one_unit_is_no_deletion_for_all,
        a_filter_says_which_metadata_counts,
        a_filter_that_says_nothing_is_refused,
    }
    ancestors {
        rule_7_an_ancestor_out_of_scope_that_is_renamed_comes_again,
        rule_7_an_ancestor_that_was_absent_comes_once_it_is_there,
        rule_7_what_was_absent_comes_for_rows_that_are_still_of_the_scope,
        rule_7_what_was_absent_comes_for_folders_that_rows_of_the_scope_lie_in,
        rule_7_an_ancestor_that_was_excluded_comes_once_it_is_not,
        rule_7_an_ancestor_that_stands_outlives_a_deletion_of_its_key,
        rule_7_an_ancestor_that_comes_back_outlives_the_deletion_that_was_told,
        rule_7_what_a_slice_that_is_given_up_brought_of_ancestors_comes_again,
        rule_17_a_folder_that_is_away_for_a_run_has_not_left,
        rule_17_an_ancestor_out_of_scope_comes_where_it_is_asked_for,
        rule_17_an_ancestor_that_is_in_its_unit_again_comes_whole,
        rule_7_reconcile_reports_ancestors_out_of_scope_that_are_missing_or_elsewhere,
        rule_7_a_folder_that_took_the_place_of_an_ancestor_comes_by_its_stamp,
        rule_13_a_row_carries_the_key_of_the_folder_that_took_the_place_of_its_own,
        rule_6_a_folder_that_left_and_is_excluded_is_counted_as_excluded,
    }
    left_folders {
        rule_7_a_folder_above_an_excluded_one_stays_for_what_lies_below,
        rule_17_a_run_that_goes_back_tells_again_what_left,
        rule_17_a_folder_that_left_a_unit_stays_bare_while_a_child_of_it_does,
        rule_17_a_folder_comes_bare_unless_its_stamp_went_back,
        rule_17_a_folder_comes_bare_again_where_its_leaving_is_logged,
        rule_17_an_ancestor_that_nothing_needs_leaves_and_comes_again,
        rule_17_an_empty_folder_out_of_scope_of_all_units_leaves_and_comes_again,
        rule_17_a_folder_is_bare_once_that_was_handed_out,
        rule_17_a_folder_that_is_logged_to_have_left_all_units_orphans_nothing,
        rule_17_what_is_in_its_unit_again_with_its_old_stamp_comes_again,
        rule_17_a_folder_that_left_all_units_is_reported_though_it_came_last_as_an_ancestor,
        rule_17_what_left_goes_though_the_server_s_clock_went_back_since,
    }
    bundles {
        rule_2_the_manifest_says_lag_only_where_transactions_cannot_be_seen,
        rule_7_absent_parents_are_in_the_bundle_and_verify_accepts_exactly_those,
        rule_9_a_run_whose_slice_was_taken_is_never_packed,
        a_value_over_the_inline_limit_lies_in_blob_and_comes_back,
        a_crash_at_any_durable_operation_publishes_all_or_nothing,
        staging_folders_of_others_are_left_alone,
        a_bundle_that_was_published_and_not_recorded_is_adopted,
        a_foreign_folder_under_the_bundles_name_is_never_touched,
        a_folder_for_bundles_that_is_missing_is_reported_before_anything_is_written,
    }
    shipping {
        a_bundle_is_owed_from_its_record_on_until_it_is_shipped,
        a_crash_between_record_and_shipment_forgets_nothing,
        what_cannot_be_shipped_is_reported_and_shipped_by_the_next_run,
        a_destination_that_is_down_is_tried_once_and_keeps_no_other_waiting,
        the_same_bundle_goes_to_a_second_destination,
        a_shipment_counts_for_the_destination_that_it_went_to_alone,
        a_bundle_that_is_not_where_it_was_published_is_reported_with_what_to_do,
        a_job_database_of_another_version_is_refused_by_its_number,
    }
    destinations {
        rule_18_what_all_units_left_never_reaches_the_folder_of_one,
        rule_18_what_one_unit_left_never_reaches_another_or_all,
        rule_18_a_leftover_whose_folder_is_gone_stays_until_somebody_packs_it,
        rule_18_a_run_of_the_same_tables_and_units_takes_what_the_last_one_left_with_it,
        rule_18_a_run_of_one_table_packs_nothing_of_the_others,
        rule_18_a_leftover_that_somebody_else_has_just_packed_is_not_packed_twice,
        rule_18_what_was_told_nothing_is_packed_by_the_same_tables_and_units_alone,
        rule_18_nothing_goes_out_in_plain_that_was_to_be_encrypted,
        rule_18_an_encrypted_archive_that_nobody_recorded_makes_room_for_itself,
        rule_18_a_bundle_of_more_tables_that_nobody_recorded_makes_room,
        rule_18_a_run_that_is_gone_on_with_keeps_to_its_seal_and_takes_the_new_folder,
        rule_10_a_bundle_is_required_from_the_first_one_on_unless_somebody_said_no,
        rule_19_a_slice_that_cannot_be_packed_costs_its_table_alone,
        rule_19_a_run_whose_own_slice_cannot_be_packed_says_so_and_goes_on_when_it_can,
    }
    whose {
        rule_18_a_folder_of_one_unit_takes_no_row_of_another_or_of_all,
        rule_18_a_run_is_packed_into_no_folder_of_others,
        rule_18_a_place_that_is_shared_by_name_stays_so,
        rule_18_a_place_of_all_units_takes_everything,
        rule_18_no_unit_publishes_above_the_place_of_another,
        rule_18_what_stands_at_a_place_without_a_record_says_whose_it_is,
        what_can_never_be_shipped_is_waived_by_name_and_stays_recorded,
    }
    give_up {
        rule_19_after_giving_up_the_next_run_brings_all_that_the_run_had_settled,
        rule_19_giving_up_the_first_load_leaves_a_table_that_was_never_loaded,
        rule_19_giving_up_asks_again_as_it_was_asked,
        rule_19_giving_up_takes_back_no_watermark_but_its_own,
        rule_19_a_slice_of_a_run_that_nobody_knows_can_be_given_up,
        rule_19_only_what_the_run_holds_is_given_up,
        rule_19_a_run_that_is_gone_on_with_leaves_what_was_given_up,
    }
    roots {
        rule_28_an_older_job_database_adds_nothing_until_it_took_over_what_it_published,
        rule_28_what_a_unit_was_handed_is_taken_over_with_its_bundles,
        rule_28_a_folder_that_left_all_units_before_the_loss_is_not_told_again,
        rule_28_a_deletion_that_was_told_before_the_loss_is_reported_again_and_takes_nothing_back,
        rule_28_a_fork_goes_back_to_the_watermark_of_what_it_takes_over,
        rule_28_what_others_and_vandals_have_there_is_passed_by,
        rule_28_a_bundle_of_another_root_under_our_name_is_reported,
        rule_28_one_chain_is_not_held_against_another,
        rule_28_what_was_pruned_is_known_by_the_record_of_what_follows_it,
        rule_28_what_was_compacted_is_known_by_what_follows_the_bundles_in_it,
        rule_28_what_was_compacted_with_bundles_that_are_lost_here_is_a_fork,
        rule_28_nothing_is_taken_over_across_a_gap,
    }
    servers {
        rule_28_on_another_server_nothing_runs_until_it_is_said_what_it_is,
        rule_28_what_moved_goes_on_and_is_known_in_both_places,
        rule_28_a_copy_becomes_a_source_of_its_own_and_continues_nothing,
    }
    not_reported {
        rule_17_nothing_that_is_logged_explains_what_a_unit_that_is_gone_has,
        rule_17_what_a_unit_does_not_know_to_have_handed_out_is_reported_as_left,
        rule_17_a_leaving_that_was_told_in_a_bundle_that_is_lost_is_reported_again,
        rule_15_what_no_run_tells_is_logged_once_and_explains_nothing,
        rule_16_bundles_of_another_source_are_reported_and_say_nothing,
    }
    reconcile {
        what_runs_took_is_reconciled,
        rule_24_contents_are_compared_across_a_change_of_columns,
        each_way_to_be_wrong_is_reported_and_the_next_run_mends_what_it_can,
        a_business_unit_is_reconciled_with_its_own_runs,
        rule_17_what_all_units_were_handed_is_nothing_that_a_unit_has,
        rule_17_what_left_a_unit_is_no_deletion_for_anybody_else,
        a_source_that_went_back_in_time_is_reported_and_its_bytes_are_compared,
    }
    failures {
        one_table_of_several_fails_alone,
        a_failed_run_goes_on_with_resume_and_packs_what_was_missing,
        a_changed_template_changes_what_a_run_does,
        a_template_that_filters_rows_is_an_error_that_names_the_row,
        a_template_with_an_error_of_form_is_refused_by_script_and_line_before_anything_is_written,
        a_template_that_fails_in_a_batch_is_named_and_costs_that_batch,
        a_queue_template_that_fails_is_named_and_leaves_no_lease,
        a_configuration_that_names_what_is_not_there_is_refused,
        a_plan_reports_the_window_and_the_keys_and_changes_nothing,
    }
    prune {
        a_pruned_run_goes_whole_and_a_plan_of_it_changes_nothing,
        pruning_keeps_the_newest_runs_and_those_of_the_last_days,
        rule_4_pruning_keeps_held_back_keys_of_the_previous_run,
        rule_9_pruning_keeps_a_run_that_can_be_resumed,
        rule_10_pruning_keeps_an_unpacked_slice,
        rule_12_pruning_keeps_what_the_watermark_of_a_unit_comes_from,
        rule_15_pruning_keeps_deletions_that_are_not_shipped_yet,
        rule_16_pruning_keeps_the_last_bundle_of_a_chain,
        pruning_keeps_a_bundle_that_has_yet_to_be_shipped,
        pruning_keeps_a_lease_and_a_run_at_work,
        pruning_under_a_clock_that_runs_ahead_removes_nothing_more,
    }
    suspect {
        rule_21_a_window_whose_keys_have_no_rows_is_suspect_and_moves_nothing,
        rule_21_of_few_keys_a_sample_of_the_whole_table_decides,
        rule_21_a_few_keys_without_rows_are_pending_where_the_table_is_well,
        rule_21_what_is_usual_here_is_accepted_by_name,
        rule_21_children_without_parents_are_suspect_before_the_slice_completes,
        rule_21_most_rows_of_a_unit_do_not_leave_it_at_once,
        rule_21_what_leaves_is_accepted_by_name,
        rule_21_what_a_log_says_left_a_scope_is_no_more_believed_than_what_the_metadata_say,
        rule_21_less_than_half_of_what_all_units_have_may_leave_by_a_log,
        rule_21_what_stands_out_of_scope_was_not_deleted,
        rule_21_what_leaves_while_a_run_copies_is_suspect_before_the_slice_completes,
        rule_21_what_a_log_says_was_deleted_does_not_stand_in_the_source,
        rule_20_stamps_that_no_window_catches_are_counted_over_the_whole_table,
        rule_15_what_is_odd_about_deletions_is_reported,
        a_source_that_went_back_in_time_is_reported_and_does_not_fail,
        a_unit_whose_newest_row_moves_to_another_one_did_not_go_back_in_time,
    }
    upkeep {
        a_table_is_removed_with_what_was_kept_for_it,
        a_table_that_is_removed_and_added_tells_a_unit_what_is_gone,
        a_table_that_is_at_work_or_not_packed_is_removed_by_force_alone,
        rule_21_the_data_says_whether_the_configuration_means_it,
        rule_20_the_doctor_counts_what_no_window_will_take,
    }
    values {
        rule_20_two_rows_of_one_key_fail_the_table_by_that_key,
        rule_20_rows_without_a_key_are_reported,
        rule_6_an_exclusion_that_is_taken_back_brings_the_row,
    }
    types {
        every_value_of_every_type_comes_through,
    }
    history {
        no_history_loses_a_change,
    }
];

/// What is about the embedded instance alone.
pub const EMBEDDED_ALONE: &[(&str, Scenario)] = list![Scenario:
    // SQLite stores times as text, and a column takes any; on a server it is a datetime2.
    takes { rule_1_a_stamp_of_another_form_is_refused_not_missed }
    // Many runs: on a server it would take minutes.
    known { a_crash_leaves_no_bundle_that_leans_on_what_is_not_there }
    // A server holds its values against their types itself.
    values {
        rule_19_any_value_in_any_column_is_carried_or_refused_by_name,
        rule_19_the_ways_out_of_a_value_that_does_not_fit_work,
        rule_19_a_missing_parent_is_held_against_its_types_too,
        rule_19_a_null_that_the_slice_does_not_take_names_its_row,
        rule_20_a_stamp_that_is_none_names_its_key_and_fails_the_table,
        rule_20_a_key_of_the_metadata_that_is_none_fails_the_table,
        rule_20_business_units_and_logged_deletions_are_values_too,
    }
    reconcile { rule_20_a_time_that_is_none_is_named_by_its_key_unless_that_is_excluded }
    // A server's journal is its own.
    upkeep { a_source_keeps_its_journal_mode_and_an_idle_reader_is_no_lock }
    // A server copies values of any size by itself.
    slices { values_that_are_copied_in_chunks_are_copied_whole }
    // On a server it is a login's rights that hold.
    attacks {
        attack_a_script_does_no_more_than_read_and_fill_its_slice_and_its_queue,
        attack_a_trigger_on_a_slice_writes_nothing_elsewhere,
        attack_functions_that_reach_files_are_not_called,
    }
    // A server has no rowids.
    slices { a_source_without_rowids_is_copied_as_any_other }
    places {
        a_row_that_moved_since_it_was_queued_is_taken_by_its_key,
        rule_7_a_parent_of_a_row_that_moved_since_it_was_queued_comes_too,
        a_template_of_an_earlier_version_is_replaced,
        a_template_that_somebody_changed_stays_and_has_its_index,
    }
    // A column there may be declared as anything; of a server's types every one is carried but CLR types.
    failures { a_column_of_a_type_that_cannot_be_carried_is_refused_before_anything_is_read }
];

/// What is about the procedures called without this program.
pub const SERVER_ALONE: &[(&str, Scenario)] = list![Scenario:
batches {
    a_batch_ends_with_the_row_that_reaches_its_bytes,
    a_value_that_no_column_holds_is_left_by_its_key_and_the_rest_ships,
    a_row_that_somebody_holds_is_left_by_its_key_and_the_rest_ships,
    a_slice_that_cannot_be_truncated_is_emptied_row_by_row,
    a_queue_is_filled_in_chunks_and_a_plan_puts_nothing_into_it,
}
procedures {
    a_run_of_the_procedures_alone_is_packed_by_the_program,
    the_procedures_and_the_program_fill_the_same_slice,
    a_run_of_the_procedures_is_packed_before_the_program_empties_its_slice,
    one_table_and_one_unit_are_called_as_the_documents_show,
    what_an_operator_gets_wrong_is_reported_and_nothing_is_written,
    one_table_of_several_fails_alone_in_the_procedures_too,
    a_template_that_fails_is_named_by_the_procedures_too,
    a_run_that_the_procedures_began_is_resumed_by_the_program,
    a_run_that_the_program_began_is_resumed_by_the_procedures,
    the_monitoring_queries_answer_column_for_column,
    the_scripts_run_again_on_what_is_there_and_change_nothing,
    a_queue_that_is_being_filled_keeps_no_other_table_waiting,
    a_table_is_added_by_plain_insert,
    a_table_of_another_schema_has_its_own_slice,
}
slice_tables { a_slice_that_was_made_by_hand_with_a_unique_index_stays }
triggers {
    rule_15_a_trigger_on_the_source_logs_every_row_that_is_deleted,
    rule_15_a_trigger_on_the_metadata_logs_each_key_whose_last_row_is_deleted,
}
hidden {
    rule_25_what_a_login_does_not_see_is_refused_by_name_unless_it_is_accepted,
}];
