//! The way over the network, without a server: a small endpoint that speaks TDS says what the test
//! wants, and the library's own calls are made against it.

pub mod endpoint;
mod guess;
pub mod reply;
mod types;
mod wire;

mod failures;
mod literals;
mod login;
mod plausible;
mod rows;
mod scripts;
mod specs;
mod statements;
mod values;

use crate::List;

type Case = fn();

const TESTS: &[(&str, Case)] = list![Case:
    failures {
        the_numbers_of_the_procedures_are_kinds_and_their_messages_stand_as_they_are,
        any_other_number_says_where_it_comes_from_and_is_not_tried_again,
        rows_before_an_error_are_no_result,
        a_deadlock_victim_tries_the_whole_unit_again_after_pauses,
        a_deadlock_that_stays_ends_with_its_error,
        a_connection_cut_in_a_row_costs_that_unit_alone,
        a_connection_cut_in_a_transaction_begins_it_again,
        an_error_that_ends_the_session_is_a_lost_connection,
        a_connection_that_breaks_again_and_again_is_reported_with_what_to_do,
        a_server_that_speaks_nonsense_is_left_and_asked_again,
        a_lock_timeout_is_tried_again_like_a_deadlock,
        a_server_that_restarts_is_waited_for,
        a_server_that_fails_over_is_waited_for_as_long_as_was_said,
        a_server_that_stays_away_is_reported_with_what_to_do,
        a_password_that_is_refused_in_the_middle_is_not_tried_again,
        a_server_that_says_nothing_is_left_after_its_time_and_not_asked_again,
        a_statement_that_is_to_be_given_up_is_left_at_once_and_the_next_is_done,
    }
    login {
        a_session_says_who_it_is_and_sets_itself_up,
        a_wrong_password_is_reported_with_what_to_do_and_not_tried_again,
        a_server_that_hangs_up_in_the_login_is_reported,
        nobody_at_the_port_is_reported,
        a_server_that_cannot_encrypt_gets_no_password_unless_that_was_asked_for,
        a_missing_job_database_is_reported,
    }
    rows {
        rows_before_a_cut_are_given_once_and_reading_goes_on_behind_them,
        rows_of_two_connections_come_in_their_order,
        a_cut_of_one_of_two_connections_costs_no_row,
        connections_that_do_not_read_the_same_rows_are_found_out,
        pages_come_from_one_statement_as_long_as_each_goes_on_behind_the_last,
        an_error_of_the_server_is_no_end_of_the_rows,
        the_order_of_keys_is_asked_for_once,
        what_is_lost_on_the_way_is_no_answer_of_what_a_server_has,
        a_large_value_is_written_in_chunks_where_the_server_takes_them,
    }
    statements {
        all_that_the_program_sends_can_be_collected_and_nothing_of_its_sql_is_missing,
    }
    values {
        every_type_comes_through_at_its_ends_and_as_null,
        a_value_of_another_type_than_the_catalog_says_is_an_error_with_its_column,
        a_scan_goes_on_behind_the_last_whole_row_when_the_connection_is_cut,
        an_error_after_some_rows_ends_the_scan,
    }
];

/// The list of this folder.
pub fn list() -> List {
    let mut list = List::new("tds");
    TESTS.iter().for_each(|(name, test)| list.add(name, None, test));
    list
}
