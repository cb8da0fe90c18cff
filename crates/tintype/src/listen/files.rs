//! Every connection is an open file, and so is every upload under way.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are open however few clients there are: ledger, logs, callbacks, variants being written.
const OWN: u64 = 256;

/// Raises this process's limit of open files as far as it may, and says if that is too few for so many connections,
/// of which some open a file each.
pub fn allow_open_files(connections: u64, with_a_file: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    let wanted = connections + with_a_file + OWN;
    if let Some(limit) = limit.filter(|limit| *limit < wanted) {
        tracing::warn!(
            limit,
            wanted,
            "too few files may be open for server.max_connections: raise the limit (ulimit -n, LimitNOFILE=), or lower the setting"
        );
    }
}
