//! Masked bundles: what is left in them of their originals, and what reads them.

mod attacks;
mod bundles;
pub mod chains;
pub mod keys;
mod policies;
mod proof;
pub mod rich;

use crate::List;

type Case = fn();

const CASES: &[(&str, Case)] = list![Case:
    attacks {
        attack_the_masking_secret_is_in_no_output_and_no_file,
        attack_a_column_that_no_rule_names_is_not_kept,
        attack_the_order_of_rows_does_not_tell_their_keys,
    }
    bundles {
        rule_29_nothing_of_the_masked_columns_is_left,
        what_is_null_or_empty_stays_so_and_sizes_follow,
        large_values_are_masked_in_pieces,
        the_same_bundle_gives_the_same_bytes_and_another_secret_others,
        a_damaged_bundle_is_refused,
        what_a_manifest_says_of_people_is_left_out,
    }
    chains {
        rule_29_masked_bundles_are_a_chain_of_their_own,
        rule_29_masked_and_unmasked_rows_never_meet,
        eight_weeks_masked_one_by_one_are_the_masked_compaction,
        a_missing_predecessor_is_a_gap_for_everybody,
        what_would_be_masked_otherwise_than_before_is_told,
        a_column_keeps_its_mask_within_a_chain,
    }
    keys {
        rule_29_masked_keys_are_one_to_one_and_the_tree_stays,
        the_proof_of_masked_keys_needs_their_secret,
        a_key_that_became_another_is_found,
        a_key_is_not_masked_from_the_second_week_on,
        integers_are_masked_in_their_tree_and_where_other_tables_refer_to_them,
        a_path_is_kept_unless_it_can_be_a_key,
    }
    policies {
        what_a_policy_does_not_name_is_refused_with_the_lines_to_add,
        a_policy_that_does_not_fit_is_refused_before_anything_is_written,
        a_section_of_a_table_that_no_bundle_has_is_refused,
        a_date_that_is_the_stamp_does_not_tell_the_other_dates,
        the_first_policy_masks_every_column,
    }
    proof {
        what_is_masked_is_proven,
        each_rule_that_is_broken_is_found,
    }
];

/// The list of this folder.
pub fn list() -> List {
    let mut list = List::new("mask");
    for (name, case) in CASES {
        list.add(name, None, *case);
    }
    list
}
