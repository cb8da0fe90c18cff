//! The system calls of the box that no crate wraps. The only file of it with `unsafe`.
#![allow(unsafe_code)]

use std::io;

/// Lets signals that mean the service pass by: it decides when a decoder ends.
pub fn ignore(signals: &[i32]) {
    for &signal in signals {
        // SAFETY: to ignore a signal installs no code. A number that is none is refused, and nothing is lost.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Closes every file descriptor from one on.
pub fn close_from(first: i32) {
    // SAFETY: called before anything owns a descriptor of these numbers: what is open there was left by others.
    unsafe {
        // Kernels before 5.9 do not know the call.
        if libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) != 0 {
            for fd in first..1 << 16 {
                libc::close(fd);
            }
        }
    }
}

/// Has small blocks come of the heap and stay there when they are freed: so many bytes of it, and no more.
pub fn keep_heap(bytes: i32) {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` takes any numbers.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, bytes);
        libc::mallopt(libc::M_TRIM_THRESHOLD, bytes);
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = bytes;
}

/// Asks to be traced by the parent.
pub fn be_traced() -> io::Result<()> {
    // SAFETY: this request takes no pointers.
    checked(unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) })
}

/// Asks for memory to run code in.
pub fn executable_memory() -> io::Result<()> {
    let access = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: new memory, which nothing else is in and nobody will use.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, kind, -1, 0) };
    if page == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn checked(result: libc::c_long) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
