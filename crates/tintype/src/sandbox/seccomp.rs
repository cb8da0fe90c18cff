//! Third layer: a list of the system calls that decoding needs. Any other kills the process.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

use super::report::Piece;

/// Calls that are harmless whatever they are called with: memory, locks and signals of this process, the clock, the end.
const FREE: [libc::c_long; 19] = [
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_sysinfo,
];

/// Where the C library says why it aborts.
const STDERR: u64 = 2;

/// Allows what decoding needs and the wire, and nothing else from here on.
pub fn set(wire: i32) -> Piece {
    let count = FREE.len() + bounded(wire).map_or(0, |rules| rules.len());
    match filter(wire) {
        Ok(filter) => match filter.iter().try_for_each(|program| apply_filter(program)) {
            Ok(()) => Piece::Holds(format!("{count} system calls allowed, any other kills")),
            Err(error) => Piece::Lacks(error.to_string()),
        },
        Err(error) => Piece::Lacks(error.to_string()),
    }
}

type Rules = Vec<(libc::c_long, Vec<SeccompRule>)>;

fn filter(wire: i32) -> Result<Vec<seccompiler::BpfProgram>, BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let free = FREE.into_iter().map(|call| (call, Vec::new()));
    let rules: BTreeMap<_, _> = free.chain(bounded(wire)?).collect();
    let list = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch)?;
    Ok(vec![list.try_into()?])
}

/// Calls that are allowed with some arguments.
fn bounded(wire: i32) -> Result<Rules, BackendError> {
    let wire = wire as u64;
    let prot_exec = libc::PROT_EXEC as u64;
    let anonymous = libc::MAP_ANONYMOUS as u64;
    let no_code = || argument(2, Op::MaskedEq(prot_exec), 0);
    Ok(vec![
        (libc::SYS_read, vec![rule(vec![argument(0, Op::Eq, wire)?])?]),
        (libc::SYS_write, vec![rule(vec![argument(0, Op::Eq, wire)?])?, rule(vec![argument(0, Op::Eq, STDERR)?])?]),
        (libc::SYS_writev, vec![rule(vec![argument(0, Op::Eq, STDERR)?])?]),
        (libc::SYS_mmap, vec![rule(vec![no_code()?, argument(3, Op::MaskedEq(anonymous), anonymous)?])?]),
        (libc::SYS_mprotect, vec![rule(vec![no_code()?])?]),
        // To abort.
        (libc::SYS_tgkill, vec![rule(vec![argument(0, Op::Eq, std::process::id().into())?])?]),
    ])
}

fn rule(conditions: Vec<Condition>) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions)
}

fn argument(number: u8, op: Op, value: u64) -> Result<Condition, BackendError> {
    Condition::new(number, Len::Dword, op, value)
}
