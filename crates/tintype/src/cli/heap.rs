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

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    /// Bytes from which an allocation is a mapping of its own: the most that glibc takes.
    const MAPPED_FROM: usize = 32 << 20;
    /// Bytes at the end of the heap that are kept, though free.
    const KEPT: i32 = 256 << 20;
    /// Bytes of a large page.
    const PAGE: usize = 2 << 20;

    /// While serving: bytes from which an allocation is a mapping of its own, and bytes that are kept, though free.
    const LARGE: i32 = 1 << 20;
    const SPARE: i32 = 4 << 20;

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
