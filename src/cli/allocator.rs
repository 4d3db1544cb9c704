//! What the allocator is told before anything else happens.

/// Options of mallopt(3), and their values.
///
/// Blocks of 8 MiB are mapped, and given back when they are freed. Left alone, glibc raises the size from
/// which on it does that to that of whatever was freed, up to 32 MiB: values of 15 MiB had a `pack` hold 370
/// MiB, of which 170 were in use. Two arenas: with one for each thread, what one has freed is of no use to
/// another (of values of 9 KB: 207 MiB, not 162, in the same time). Of smaller blocks an arena keeps 32 MiB at
/// its end: once the first is set, it would give all of it back, and take it again page by page (`verify
/// --deep` took 0.75 s, not 0.59, a `replay` 1.2 s, not 0.95).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const OPTIONS: [(libc::c_int, libc::c_int); 3] =
    [(libc::M_MMAP_THRESHOLD, 8 << 20), (libc::M_ARENA_MAX, 2), (libc::M_TRIM_THRESHOLD, 32 << 20)];

/// Has the allocator keep little of what is freed, where it is glibc's.
pub fn keep_little() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (option, value) in OPTIONS {
        #[expect(unsafe_code, reason = "the allocator has no other way to be told; the only place")]
        // SAFETY: mallopt takes two numbers and no memory of ours, and is allowed at any time; no other
        // thread is there yet.
        let is_set = unsafe { libc::mallopt(option, value) };
        debug_assert_eq!(is_set, 1, "glibc knows this option");
    }
}
