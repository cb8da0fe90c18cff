//! How an arrival is judged, and what a claim is.

use super::*;

fn state(row: &Upload, etag: &str, sequencer: Option<&str>) -> StorageEvent {
    StorageEvent { etag: Some(etag.into()), sequencer: sequencer.map(str::to_owned), ..event(row) }
}

async fn arrive(ledger: &SqlLedger, row: &Upload, event: &StorageEvent, rule: Rule) -> Arrived {
    ledger.arrive(row, Arrival { event, rule, is_current: false }).await.unwrap()
}

pub(super) async fn the_first_bytes_win(ledger: &SqlLedger) {
    let row = upload();
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    let first = state(&row, "first", Some("1"));
    let Arrived::Queued(pinned) = arrive(ledger, &row, &first, Rule::FirstBytes).await else { panic!("refused") };
    assert_eq!((pinned.status, pinned.pin.clone()), (Status::Processing, Some(first.pin())));
    let replay = state(&row, "other", Some("2"));
    for _ in 0..3 {
        let stale = arrive(ledger, &row, &replay, Rule::FirstBytes).await;
        assert_eq!(stale, Arrived::Stale(pinned.clone(), Stale::Replaced));
    }
    let leased = ledger.claim(LONG, true).await.unwrap().unwrap();
    assert_eq!(leased.job.event, first);
    ledger.finish(&row.id, &failed(), None, Some(JobEnd::Done(&leased))).await.unwrap();
    let ended = ledger.get(&row.id).await.unwrap().unwrap();
    assert!(matches!(arrive(ledger, &row, &replay, Rule::FirstBytes).await, Arrived::Stale(..)));
    assert_eq!(ledger.get(&row.id).await.unwrap(), Some(ended), "no status changed");
    assert_eq!(ledger.depth().await.unwrap(), Default::default(), "and there is no job");
    let noted = ledger.history(&row.id, 10).await.unwrap();
    let told: Vec<_> =
        noted.iter().map(|n| (n.job.is_some(), n.attempt, n.outcome.as_str(), n.error.as_deref())).collect();
    assert!(told.contains(&(false, Some(4), "ignored", Some("replaced"))) && told.len() == 2, "{told:?}");
    // What names no bytes is read under the pin.
    let nameless = StorageEvent { etag: None, ..event(&row) };
    assert!(matches!(arrive(ledger, &row, &nameless, Rule::FirstBytes).await, Arrived::Queued(_)));
    assert_eq!(ledger.claim(LONG, true).await.unwrap().unwrap().job.event.pin(), first.pin());
    ledger.remove(&row).await.unwrap();
}

pub(super) async fn many_replays_are_one_job(ledger: &SqlLedger) {
    let row = upload();
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    let events: Vec<_> = (0..30).map(|n| state(&row, &format!("e{n}"), None)).collect();
    let arrivals = events.iter().map(|event| arrive(ledger, &row, event, Rule::FirstBytes));
    let came = futures::future::join_all(arrivals).await;
    assert_eq!(came.iter().filter(|arrived| matches!(arrived, Arrived::Queued(_))).count(), 1);
    assert_eq!(ledger.jobs(Some(&row.id), None, 100).await.unwrap().len(), 1);
    ledger.remove(&row).await.unwrap();
}

pub(super) async fn the_newest_version_wins(ledger: &SqlLedger) {
    let row = upload();
    let versions = [state(&row, "v1", Some("0A1")), state(&row, "v2", Some("0A2")), state(&row, "v3", Some("0B0"))];
    let [first, second, third] = &versions;
    assert!(matches!(arrive(ledger, &row, first, Rule::Newest).await, Arrived::Queued(_)));
    let leased = ledger.claim(LONG, true).await.unwrap().unwrap();
    for event in [second, third] {
        assert!(matches!(arrive(ledger, &row, event, Rule::Newest).await, Arrived::Queued(_)));
    }
    assert_eq!(
        ledger.jobs(Some(&row.id), Some(JobState::Waiting), 10).await.unwrap().len(),
        1,
        "one waits, of the newest"
    );
    for late in [first, second] {
        assert!(matches!(arrive(ledger, &row, late, Rule::Newest).await, Arrived::Stale(_, Stale::Older)));
    }
    let done = Outcome::Processed(Key::new("image/x.jpg").unwrap());
    ledger.finish(&row.id, &done, None, Some(JobEnd::Done(&leased))).await.unwrap();
    let leased = ledger.claim(LONG, true).await.unwrap().unwrap();
    assert_eq!(leased.job.event, *third);
    ledger.finish(&row.id, &done, None, Some(JobEnd::Done(&leased))).await.unwrap();
    for late in [first, second] {
        arrive(ledger, &row, late, Rule::Newest).await;
    }
    assert_eq!(
        (ledger.depth().await.unwrap(), ledger.get(&row.id).await.unwrap().unwrap().status),
        (Default::default(), Status::Completed)
    );
    let newer = state(&row, "v4", Some("0B1"));
    let Arrived::Queued(now) = arrive(ledger, &row, &newer, Rule::Newest).await else { panic!("it is newer") };
    assert_eq!(now.status, Status::Processing, "what is told is not what will be read");
    ledger.remove(&row).await.unwrap();
}

pub(super) async fn what_was_developed_is_developed_again(ledger: &SqlLedger) {
    let row = upload();
    let first = state(&row, "first", Some("7"));
    arrive(ledger, &row, &first, Rule::FirstBytes).await;
    for _ in 0..3 {
        assert!(ledger.reopen(&row.id, &first).await.unwrap());
    }
    let jobs = ledger.jobs(Some(&row.id), None, 10).await.unwrap();
    assert_eq!(jobs.len(), 1, "however often it is asked for");
    let leased = ledger.claim(LONG, true).await.unwrap().unwrap();
    assert!(leased.job.force && leased.job.event == first);
    assert_eq!(ledger.get(&row.id).await.unwrap().unwrap().pin, Some(first.pin()));
    ledger.remove(&row).await.unwrap();
}

pub(super) async fn an_unclaimed_upload_lapses(ledger: &SqlLedger) {
    let mut rows = [upload(), upload(), upload()];
    for row in &mut rows[..2] {
        row.policy.claim_within = Some(60);
    }
    let [kept, left, never] = &rows;
    ledger.create(&rows, None).await.unwrap();
    for row in &rows {
        arrive(ledger, row, &event(row), Rule::FirstBytes).await;
        let leased = ledger.claim(LONG, true).await.unwrap().unwrap();
        let done = Outcome::Processed(Key::new("image/x.jpg").unwrap());
        ledger.finish(&row.id, &done, None, Some(JobEnd::Done(&leased))).await.unwrap();
    }
    let at = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    assert_eq!(ledger.claim_upload(&kept.id, at).await.unwrap().unwrap().claimed_at, Some(at));
    assert_eq!(
        ledger.claim_upload(&kept.id, at + LONG).await.unwrap().unwrap().claimed_at,
        Some(at),
        "the first counts"
    );
    let found = ledger.unclaimed(left.created_at - LONG, 10).await.unwrap();
    assert_eq!(
        found.iter().map(|(row, _)| &row.id).collect::<Vec<_>>(),
        [&left.id],
        "not one that no claim was asked of"
    );
    assert!((found[0].1 - OffsetDateTime::now_utc()).abs() < LONG);
    assert!(ledger.unclaimed(left.created_at + LONG, 10).await.unwrap().is_empty());
    assert!(!ledger.lapse(&kept.id, Some(&notice())).await.unwrap(), "claimed in time");
    assert!(ledger.lapse(&left.id, Some(&notice())).await.unwrap() && !ledger.lapse(&left.id, None).await.unwrap());
    let lapsed = ledger.get(&left.id).await.unwrap().unwrap();
    assert!(lapsed.status == Status::Expired && lapsed.has_lapsed());
    assert_eq!(ledger.deliveries(&page(), Some(&left.id)).await.unwrap().len(), 1);
    assert_eq!(ledger.claim_upload(&left.id, at).await.unwrap(), None, "too late");
    assert_eq!(arrive(ledger, left, &event(left), Rule::FirstBytes).await, Arrived::Refused);
    assert!(!ledger.reopen(&left.id, &event(left)).await.unwrap());
    assert_eq!(ledger.finish(&left.id, &failed(), None, None).await.unwrap(), Finished::Gone);
    assert_eq!(ledger.lapsed(10).await.unwrap().iter().map(|row| &row.id).collect::<Vec<_>>(), [&left.id]);
    ledger.cleared(&left.id).await.unwrap();
    assert!(ledger.lapsed(10).await.unwrap().is_empty());
    assert_eq!(ledger.get(&never.id).await.unwrap().unwrap().status, Status::Completed);
    for row in &rows {
        ledger.remove(row).await.unwrap();
    }
}

pub(super) async fn many_adopt_a_key_at_once(ledger: &SqlLedger) {
    let row = upload();
    let adopters: Vec<_> = (0..8).map(|_| Upload { id: UploadId::random(), ..row.clone() }).collect();
    let adopted = adopters.iter().map(|row| async { ledger.arrived(row, &event(row)).await.unwrap().unwrap().id });
    let ids = futures::future::join_all(adopted).await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    ledger.remove(&Upload { id: ids[0].clone(), ..row }).await.unwrap();
}

pub(super) async fn an_unannounced_key_is_adopted_once(ledger: &dyn Ledger) {
    let row = upload();
    let adopted = Upload { status: Status::Processing, pin: Some(event(&row).pin()), ..row.clone() };
    assert_eq!(ledger.arrived(&row, &event(&row)).await.unwrap(), Some(adopted.clone()));
    let again = Upload { id: UploadId::random(), ..row.clone() };
    assert_eq!(ledger.arrived(&again, &event(&again)).await.unwrap(), Some(adopted));
}

pub(super) async fn a_late_event_of_a_deleted_upload_is_refused(ledger: &dyn Ledger) {
    let mut row = upload();
    row.created_at -= 2 * LONG;
    row.expires_at = row.created_at + LONG;
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    ledger.remove(&row).await.unwrap();
    assert_eq!(ledger.arrived(&row, &event(&row)).await.unwrap(), None, "though its credential has run out");
    let found = Upload { created_at: row.created_at, expires_at: row.created_at, ..upload() };
    ledger.arrived(&found, &event(&found)).await.unwrap();
    ledger.remove(&found).await.unwrap();
    assert!(ledger.arrived(&found, &event(&found)).await.unwrap().is_some(), "its owner may put it there again");
    ledger.remove(&found).await.unwrap();
}
