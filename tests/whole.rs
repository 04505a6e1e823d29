//! Whole-program tests: the built `nbkpd` and `nbkpctl` on a machine of their own, with real drives.
//!
//! Each promise of the program and the scenarios that go red when the code behind it is broken:
//!
//! 1. nothing is written outside the destination that was proven right: `hostile::links_on_a_drive_lead_nowhere`,
//!    `hostile::the_wrong_drive_with_the_right_label_is_left_alone`, `hostile::a_clone_is_refused`,
//!    `hostile::a_place_without_sentinel_is_left_alone`, `servers::another_host_is_not_home`
//! 2. an empty, unmounted, vanished or swapped source never empties a backup: `source::emptied_before_a_run_is_held`,
//!    `source::emptied_in_mid_run_never_reaches_the_backup`, `source::unmounted_is_not_empty`,
//!    `source::yanked_in_mid_run_interrupts`, `cut_short::in_their_place_they_keep_the_copy_as_it_is`
//! 3. a finished backup is never harmed by a later failed run: `faults::a_full_destination_harms_nothing`, `kills::*`,
//!    `faults::a_yanked_drive_interrupts_and_a_replug_goes_on`, `servers::left_in_mid_run_interrupts_and_goes_on`,
//!    `servers::a_killed_daemon_leaves_no_connection_and_goes_on`
//! 4. what is shown as complete is complete: `faults::a_drive_that_loses_data_is_not_believed`, `kills::*`,
//!    `faults::two_daemons_share_one_destination`
//! 5. no event is needed twice, none is lost for good, a storm costs bounded memory: `plug::already_in_at_start`,
//!    `plug::twice_quickly_runs_once`, `scale::a_storm_of_mounts`, `scale::a_storm_of_uevents`,
//!    `servers::a_storm_of_addresses_costs_a_few_questions`
//! 6. never prompts, never hangs on a dead mount, never spins, idles without waking:
//!    `scale::a_dead_mount_stops_nothing_else`, `hangs::*`, `hostile::a_sentinel_that_is_a_pipe_stops_nothing`,
//!    `scale::idle_is_idle`, `notices::nobody_has_to_show_anything`, `neighbours::without_a_bus_the_rest_works`,
//!    `servers::a_hundred_servers_out_of_reach_delay_no_drive`,
//!    `servers::a_server_that_falls_silent_in_mid_run_is_given_up`
//! 7. no secret reaches an argument list, an environment, a log or a core dump:
//!    `hostile::children_see_nothing_of_the_environment`,
//!    `drives::a_locked_keyring_is_waited_for_and_the_secret_shows_nowhere`,
//!    `server_drives::the_passphrase_goes_over_the_connection_and_shows_nowhere`, `tests/drives/secrets.rs`
//! 8. whoever cannot read the files learns nothing and can make us do nothing: `hostile::another_user_is_turned_away`,
//!    `client::what_is_ours_is_private`
#![expect(clippy::disallowed_methods, reason = "tests start programs, read the environment and watch the time")]

// The gate makes clippy know that all of this is test code.
#[cfg(test)]
mod bus;
#[cfg(test)]
mod common;
#[cfg(test)]
#[path = "bus/keyring.rs"]
mod keyring;
#[cfg(test)]
#[path = "bus/luks.rs"]
mod luks;
#[cfg(test)]
#[path = "bus/storage.rs"]
mod storage;
#[cfg(test)]
#[path = "whole"]
mod scenarios {
    pub mod client;
    pub mod configuration;
    pub mod cut_short;
    pub mod doctor;
    pub mod drives;
    pub mod faults;
    pub mod finds;
    pub mod formatting;
    pub mod ground;
    pub mod hangs;
    pub mod hostile;
    pub mod init;
    pub mod kills;
    pub mod monitoring;
    pub mod moving;
    pub mod neighbours;
    pub mod notices;
    pub mod order;
    pub mod outputs;
    pub mod page;
    pub mod plug;
    pub mod report;
    pub mod repositories;
    pub mod restores;
    pub mod round_trips;
    pub mod runs;
    pub mod scale;
    pub mod server_drives;
    pub mod servers;
    pub mod setting_up;
    pub mod source;
    pub mod verifies;
}

#[cfg(test)]
#[path = "bench/figures.rs"]
mod figures;

use std::process::ExitCode;

use common::harness::Scenario;

macro_rules! scenarios {
    ($($room:ident: $($name:ident)+;)+) => {
        const SCENARIOS: &[Scenario] =
            &[$($((concat!(stringify!($room), "::", stringify!($name)), scenarios::$room::$name)),+),+];
    };
}

scenarios! {
    ground:
        a_yanked_drive_fails_and_keeps_what_was_flushed
        rsync_believes_a_drive_that_loses_data;
    plug:
        is_copied_into_a_btrfs_snapshot
        is_copied_into_hard_links
        is_copied_plainly
        aliases_change_nothing
        a_wrong_uuid_is_told
        already_in_at_start
        twice_quickly_runs_once
        again_copies_only_what_changed
        again_at_once_is_plugged_again
        at_any_moment_of_a_start_it_is_seen
        a_loose_contact_makes_no_storm_of_runs
        before_the_mount_waits_for_it
        unmounted_by_its_user_is_left_alone
        snapshots_are_pruned
        the_journal_tells_the_run
        the_service_manager_is_told
        a_watchdog_that_fires_is_as_a_kill
        the_part_of_it_that_was_prepared_stays_when_the_whole_is_mounted_too
        an_ordinary_user_is_served;
    moving:
        hard_links_go_on
        btrfs_goes_on
        what_is_no_yaml_of_it_prints_nothing;
    restores:
        each_kind_of_copy_gives_back_what_was_there
        the_version_of_a_time_comes_back_beside_the_one_that_is_there
        what_is_out_of_reach_is_named_with_its_age
        a_drive_alone_gives_back_and_leads_nowhere
        a_copy_without_history_is_given_back_for_what_it_is
        a_mirror_at_a_server_says_what_a_kill_left_in_it
        a_link_to_what_may_not_be_read_comes_back
        what_it_advises_of_a_copy_in_doubt_can_be_pasted;
    report:
        what_went_wrong_is_the_first_thing_it_says
        snapshots_of_hard_links_tell_what_deleting_them_frees
        snapshots_of_btrfs_tell_what_it_knows_of_them;
    cut_short:
        by_a_person_or_a_kill_they_go_on
        by_the_death_of_the_daemon_they_go_on
        in_their_place_they_keep_the_copy_as_it_is
        of_several_places_each_waits_until_the_last_has_come
        in_their_place_they_do_not_begin_unless_that_is_written_down
        by_a_full_target_they_go_on_once_there_is_room
        by_a_drive_or_a_server_that_goes_away_they_say_so_and_go_on
        what_is_there_stays_or_is_replaced_in_one_step
        what_is_restored_is_neither_pruned_nor_copied_over;
    page:
        about_getting_files_back_is_true;
    round_trips:
        of_root_come_back_from_each_kind_of_copy
        of_a_user_come_back_from_each_kind_of_copy;
    monitoring:
        metrics_tell_what_status_tells
        runs_are_reported_to_an_address_that_no_list_of_processes_shows
        an_address_that_does_not_answer_is_told_and_delays_no_copy
        the_hook_of_an_overdue_copy_is_told_which_and_why
        a_dead_daemon_and_what_is_overdue_are_told_once_a_day;
    finds:
        names_in_copies_of_each_kind_and_what_was_deleted
        what_the_bare_find_finds_and_says_what_is_out_of_reach
        an_ordinary_user_finds_what_they_may_read
        what_cannot_be_looked_into_is_not_told_to_be_gone
        two_snapshots_are_compared_here_and_at_a_server;
    source:
        emptied_before_a_run_is_held
        emptied_in_mid_run_never_reaches_the_backup
        unmounted_is_not_empty
        yanked_in_mid_run_interrupts
        strange_names_arrive
        files_that_cannot_be_read_do_not_stop_the_rest;
    repositories:
        are_fetched_and_what_they_let_go_is_kept
        that_were_never_had_are_missing_and_locks_of_the_dead_go
        say_nothing_of_how_they_are_fetched;
    verifies:
        a_flipped_bit_is_found_in_each_kind_of_copy
        what_the_medium_does_not_give_back_is_damaged
        copies_are_read_back_by_themselves_when_nothing_is_to_be_copied
        copies_are_compared_with_each_other_where_the_source_is_gone;
    faults:
        a_yanked_drive_interrupts_and_a_replug_goes_on
        a_drive_that_loses_data_is_not_believed
        a_full_destination_harms_nothing
        a_full_btrfs_drive_goes_on_without_help
        a_read_only_destination_waits
        term_in_mid_copy_interrupts_and_goes_on
        a_kill_in_mid_copy_goes_on
        two_daemons_share_one_destination
        a_second_daemon_is_refused
        without_descriptors_it_waits_and_goes_on
        programs_that_are_replaced_under_a_run_harm_nothing
        a_clock_that_was_ahead_loses_nothing
        a_lost_state_directory_costs_only_statistics
        what_cannot_be_written_down_is_not_acknowledged;
    hangs:
        a_drive_that_hangs_in_mid_run_keeps_its_own_run_alone
        a_source_that_hangs_in_mid_run_keeps_its_own_run_alone;
    runs:
        that_find_nothing_new_make_no_snapshot_and_count
        that_send_much_are_told_with_the_directories;
    outputs:
        that_take_nothing_stop_no_daemon
        that_take_nothing_stop_no_copy
        that_are_gone_with_their_terminal_end_the_run_well;
    drives:
        is_mounted_for_its_runs_and_let_go
        mounted_by_the_desktop_it_stays
        in_use_it_is_not_called_safe
        in_use_in_a_container_it_is_not_called_safe
        what_a_killed_daemon_left_open_is_closed
        what_is_missing_on_it_is_not_asked_again_and_again
        a_filesystem_that_was_mended_is_opened_at_once
        a_dead_mount_in_the_way_is_named
        without_the_right_it_waits
        with_the_printed_rule_it_is_opened_and_no_other
        a_person_mounts_and_ejects_it
        another_partition_in_use_is_not_called_safe
        a_locked_keyring_is_waited_for_and_the_secret_shows_nowhere
        another_luks_header_is_told_before_it_is_unlocked
        a_plain_filesystem_in_place_of_an_encrypted_one_is_refused
        pulled_out_in_mid_run_it_is_forgotten;
    hostile:
        the_wrong_drive_with_the_right_label_is_left_alone
        a_place_without_sentinel_is_left_alone
        another_id_is_not_the_same_place
        a_clone_is_refused
        links_on_a_drive_lead_nowhere
        a_sentinel_that_is_a_pipe_stops_nothing
        foreign_entries_among_snapshots_stay
        children_see_nothing_of_the_environment
        another_user_is_turned_away;
    kills:
        behind_each_step_with_btrfs
        behind_each_step_with_hard_links
        behind_each_step_without_snapshots;
    order:
        a_chain_goes_in_order
        a_failure_stops_what_follows
        a_group_gets_one_copy_on_each_member;
    servers:
        is_copied_when_the_network_is_joined
        left_in_mid_run_interrupts_and_goes_on
        switched_off_in_mid_run_interrupts_and_goes_on
        a_server_that_falls_silent_in_mid_run_is_given_up
        the_way_home_is_taken_at_home_and_the_other_one_away
        another_network_in_mid_run_is_another_way
        away_there_is_no_way
        another_host_is_not_home
        who_is_not_admitted_is_told_how
        a_server_behind_another_is_reached_through_it
        from_the_server_to_a_drive
        a_chain_goes_through_the_server_to_a_drive_there
        fifty_syncs_cost_one_connection
        a_hundred_servers_out_of_reach_delay_no_drive
        a_name_server_that_never_answers_delays_no_drive
        a_way_that_swallows_large_packets_is_given_up
        a_killed_daemon_leaves_no_connection_and_goes_on
        prepares_shows_and_prunes_on_a_server
        works_without_a_daemon
        a_storm_of_addresses_costs_a_few_questions
        behind_a_tunnel_it_is_asked_when_the_network_below_changes
        containers_that_come_and_go_ask_no_server
        a_name_that_leads_elsewhere_now_is_asked_there;
    server_drives:
        is_mounted_there_for_its_runs_and_let_go
        mounted_by_somebody_there_it_stays
        in_use_there_it_is_not_called_safe
        in_use_in_a_container_there_it_is_not_called_safe
        two_machines_share_it
        what_a_killed_daemon_left_open_there_is_closed
        a_connection_lost_while_it_is_open_closes_it_later
        an_end_out_of_reach_leaves_it_to_the_next
        without_udisksctl_there_it_waits
        without_the_right_there_it_waits_and_the_printed_rule_gives_it
        a_person_mounts_and_ejects_it
        a_hold_keeps_hands_off_it
        a_clone_there_is_refused
        a_plain_filesystem_in_place_of_an_encrypted_one_is_refused
        one_named_by_what_is_in_its_container_is_opened_once_it_was_seen_open
        the_passphrase_goes_over_the_connection_and_shows_nowhere;
    neighbours:
        a_connection_is_home
        without_a_bus_the_rest_works
        hooks_run_where_no_rights_were_taken_away
        a_metered_way_waits
        sleep_in_mid_run_interrupts_and_goes_on
        a_long_copy_keeps_the_machine_awake;
    configuration:
        broken_and_mended
        changed_starts_what_became_possible
        half_of_it_harms_nothing
        what_would_do_harm_is_refused_and_never_run
        mistakes_are_told_all_at_once
        copies_of_another_kind_are_left_alone;
    client:
        prepares_a_blank_drive
        runs_and_waits
        a_lost_state_is_filled_again_and_a_removed_sync_has_a_past
        shows_what_a_run_would_do
        works_without_a_daemon
        approves_what_a_guard_stopped
        holds_pauses_and_cancels
        a_hold_for_some_time_outlives_the_daemon_and_falls_by_itself
        what_is_only_supposed_is_told_and_nothing_comes_of_it
        says_when_nobody_answers
        root_is_told_whose_daemon_runs
        what_is_ours_is_private
        demonstrates_itself;
    init:
        from_a_directory_to_drives_of_each_kind
        what_is_there_is_extended_and_taken_in_at_once
        to_a_server_that_only_ssh_knows
        what_is_wrong_is_told_and_nothing_is_written
        killed_at_any_moment_it_leaves_nothing_half_made
        asks_on_a_terminal_and_nowhere_else
        puts_the_service_there_and_enables_it
        each_shell_tells_of_a_place;
    formatting:
        the_printed_commands_make_a_drive
        the_printed_commands_make_an_encrypted_drive;
    setting_up:
        what_is_somebody_elses_is_never_taken
        what_is_somebody_elses_at_a_server_is_never_taken
        a_part_of_a_drive_is_found_again
        a_subvolume_of_a_drive_is_found_again
        a_kind_that_cannot_be_held_is_refused_before_anything_is_written
        what_is_said_is_what_was_done
        what_is_to_be_typed_at_a_server_can_be_typed
        a_service_that_does_not_start_is_told_in_its_own_words
        a_daemon_with_another_configuration_prepares_nothing
        a_part_of_a_filesystem_in_use_is_not_formatted;
    doctor:
        a_healthy_machine_has_nothing_to_mend
        what_is_broken_is_named_with_its_remedy
        a_destination_that_cannot_hold_history_is_found
        a_server_with_one_session_a_connection_is_found
        a_tree_at_a_server_in_other_hands_is_found
        a_state_directory_that_takes_nothing_is_found
        a_keyring_that_is_locked_or_away_is_found
        that_udisks_is_missing_is_told_once
        with_the_printed_rule_a_user_may_mount
        a_mount_point_without_its_mount_is_found
        it_does_the_same_without_a_daemon
        without_a_daemon_it_changes_nothing
        without_a_daemon_it_leaves_open_what_a_killed_one_opened
        what_does_not_answer_costs_its_own_test;
    notices:
        a_start_can_be_held
        a_failure_is_told_once_and_taken_back
        one_notification_takes_the_place_of_the_other
        without_buttons_the_command_is_named
        what_is_not_wanted_asks_nobody
        what_stands_is_told_once_somebody_can_hear_it
        two_drives_of_one_uuid_are_told_of
        a_filesystem_that_should_be_checked_is_told_of_once
        nobody_has_to_show_anything;
    scale:
        a_thousand_syncs
        a_storm_of_mounts
        a_storm_of_uevents
        a_dead_mount_stops_nothing_else
        many_requests_at_once_are_one_more_run
        idle_is_idle;
}

fn main() -> ExitCode {
    common::harness::main(SCENARIOS, figures::all)
}
