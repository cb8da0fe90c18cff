//! The allocator, set for what a process does.
#![allow(unsafe_code)]

/// For a process that works on pictures and ends: keeps what was freed, and asks for large pages. A tenth of a photo's
/// time goes into pages that are asked of the kernel one by one, and given back only to be asked for again. Other
/// systems' allocators are left as they are.
pub fn prepare() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::prepare();
}

/// For a process that serves for weeks: what a large original took goes back at once. Left to itself, glibc keeps a
/// heap for each of many threads, each as large as the largest original that ever passed through it.
pub fn prepare_to_serve() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::prepare_to_serve();
}

/// Gives back what was freed and kept, whenever this process has grown since: what a flood of small bodies and
/// connections took is spread over the heaps, where each keeps it for itself.
pub fn give_back_in_time() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::give_back_in_time();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::fs;
    use std::thread;
    use std::time::Duration;

    /// How often to look.
    const LOOK: Duration = Duration::from_secs(3);
    const SELDOM: Duration = Duration::from_secs(6);
    /// Growth that is worth a look through the heaps, and what that should find.
    const GROWN: usize = 16 << 20;
    const WORTH: usize = 1 << 20;

    /// Bytes from which an allocation is a mapping of its own: the most that glibc takes.
    const MAPPED_FROM: usize = 32 << 20;
    /// Bytes at the end of the heap that are kept, though free.
    const KEPT: i32 = 256 << 20;
    /// Bytes of a large page.
    const PAGE: usize = 2 << 20;

    /// While serving: bytes from which an allocation is a mapping of its own, and bytes that are kept, though free.
    const LARGE: i32 = 1 << 20;
    const SPARE: i32 = 4 << 20;

    pub(super) fn give_back_in_time() {
        let look = || {
            let (mut least, mut wait) = (resident(), LOOK);
            loop {
                thread::sleep(wait);
                let before = resident();
                if before > least + GROWN {
                    // SAFETY: `malloc_trim` may be called at any time, by any thread.
                    unsafe { libc::malloc_trim(0) };
                    // What is in use stays: no need to look as often.
                    wait = if before.saturating_sub(resident()) < WORTH { (wait * 2).min(SELDOM) } else { LOOK };
                } else {
                    wait = LOOK;
                }
                least = least.min(resident());
            }
        };
        // Without it, all works as well.
        let _ = thread::Builder::new().name("heap".to_owned()).stack_size(64 << 10).spawn(look);
    }

    /// Bytes of this process that are in memory.
    fn resident() -> usize {
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
        pages * rustix::param::page_size()
    }

    pub(super) fn prepare_to_serve() {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        // SAFETY: `mallopt` takes any numbers.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, cores.min(16) as i32);
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
            libc::mallopt(libc::M_TRIM_THRESHOLD, SPARE);
        }
    }

    /// What fails is left at that: the work is done all the same, a little slower.
    pub(super) fn prepare() {
        // SAFETY: `mallopt` takes any numbers. The block is this function's own; advice changes none of it, and is
        // for whole pages within it. The kernel forgets no advice when the block is freed into the heap.
        unsafe {
            // One heap, for all that is freed to serve all.
            libc::mallopt(libc::M_ARENA_MAX, 1);
            libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM as i32);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
            let length = MAPPED_FROM - PAGE / 2;
            let block = libc::malloc(length);
            if block.is_null() {
                return;
            }
            let before = block.align_offset(PAGE);
            if before < length {
                let whole = (length - before) / PAGE * PAGE;
                libc::madvise(block.byte_add(before), whole, libc::MADV_HUGEPAGE);
            }
            libc::free(block);
        }
    }
}
