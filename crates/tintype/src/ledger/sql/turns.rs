//! Whose job is next: owners take turns, those with the fewest jobs in hand first.
//!
//! Jobs of one owner are done in the order they are due, so one that is tried again lines up behind what came before its
//! new time. Every part of the statement is a seek in an index: a claim costs the same with ten waiting jobs as with a
//! hundred thousand.

use super::Dialect;

/// Owners looked at from the last one on, and again from the first: however many there are, a claim costs no more.
const OWNERS: usize = 64;

/// No two jobs of one upload are in hand at once, nor two whose outputs may meet.
const FREE: &str =
    "NOT EXISTS (SELECT 1 FROM jobs AS o WHERE o.upload_id = j.upload_id AND o.id <> j.id AND o.lease IS NOT NULL)
     AND NOT EXISTS (SELECT 1 FROM jobs AS n WHERE n.names = j.names AND n.names <> '' AND n.id <> j.id AND n.lease IS NOT NULL)";
/// What is due, of all owners.
const DUE: &str = "j.dead_at IS NULL AND j.due_at <= $3 AND";
/// The first of that.
const FIRST: &str = "ORDER BY j.due_at, j.id LIMIT 1";
/// The same within one owner, as the index by owner has it (migration 6 says why).
const OWN_DUE: &str = "j.dead_at IS NULL AND j.due_at + 0 <= $3 AND";
const OWN_FIRST: &str = "ORDER BY j.due_at + 0, j.id LIMIT 1";

/// The statement that claims a job: `$1` its lease, `$2` the lease's end, `$3` now, `$4` a time that no due time can lie
/// behind, `$5` the owner whose job was claimed last.
pub(super) fn claim(dialect: Dialect) -> String {
    let skip = dialect.skip_locked();
    let (later, earlier) = (
        owners("later", 1, |owner| format!("{owner} > $5")),
        owners("earlier", OWNERS + 1, |owner| format!("{owner} <= $5")),
    );
    // Where the owners that were looked at have nothing due, the job that has waited longest goes; then one whose time was
    // set by a clock that was wrong.
    format!(
        "WITH RECURSIVE {later}, {earlier},
           owners AS (SELECT owner, place FROM later UNION ALL SELECT owner, place FROM earlier),
           next AS (SELECT w.owner FROM owners AS w WHERE w.owner IS NOT NULL
               AND (SELECT j.id FROM jobs AS j WHERE j.owner = w.owner AND {OWN_DUE} {FREE} {OWN_FIRST}) IS NOT NULL
             ORDER BY (SELECT count(*) FROM jobs AS h WHERE h.owner = w.owner AND h.lease IS NOT NULL AND h.due_at > $3),
               w.place LIMIT 1)
         UPDATE jobs SET lease = $1, due_at = $2, attempts = attempts + 1 WHERE id = coalesce(
           (SELECT j.id FROM jobs AS j WHERE j.owner = (SELECT owner FROM next) AND {OWN_DUE} {FREE} {OWN_FIRST} {skip}),
           (SELECT j.id FROM jobs AS j WHERE {DUE} {FREE} {FIRST} {skip}),
           (SELECT j.id FROM jobs AS j WHERE j.dead_at IS NULL AND j.due_at > $4 AND {FREE} {FIRST} {skip}))
         RETURNING id, upload_id, event, force, attempts, excused, lease, created_at, owner,
           (SELECT u.traceparent FROM uploads AS u WHERE u.id = jobs.upload_id) AS traceparent"
    )
}

/// A table of the owners that have jobs, in the order of their names, each found by a seek.
fn owners(name: &str, first: usize, within: impl Fn(&str) -> String) -> String {
    let last = first + OWNERS - 1;
    format!(
        "{name}(owner, place) AS (
           SELECT min(owner), {first} FROM jobs WHERE dead_at IS NULL AND {this}
           UNION ALL
           SELECT (SELECT min(j.owner) FROM jobs AS j WHERE j.dead_at IS NULL AND j.owner > w.owner AND {next}), w.place + 1
           FROM {name} AS w WHERE w.owner IS NOT NULL AND w.place < {last})",
        this = within("owner"),
        next = within("j.owner"),
    )
}
