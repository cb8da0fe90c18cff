//! Callbacks: claimed, told in their order, settled.

use super::*;

pub(super) async fn a_delivery_is_claimed_once_and_settled(ledger: &dyn Ledger) {
    let row = upload();
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    ledger.finish(&row.id, &failed(), Some(&notice()), None).await.unwrap();
    let claimed = ledger.claim_deliveries(&all(10)).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert!(ledger.claim_deliveries(&all(10)).await.unwrap().is_empty());
    Ledger::recover(ledger).await.unwrap();
    let claimed = ledger.claim_deliveries(&all(10)).await.unwrap();
    assert_eq!(claimed.len(), 1, "a restart frees what was in hand");
    assert!(ledger.settle_delivery(&claimed[0], &attempt(None), Next::RetryIn(Duration::ZERO)).await.unwrap());
    let again = ledger.claim_deliveries(&all(10)).await.unwrap().remove(0);
    assert_eq!(again.attempts, 1);
    assert!(ledger.settle_delivery(&again, &attempt(Some(200)), Next::Delivered).await.unwrap());
    let id = &again.id;
    assert!(ledger.claim_deliveries(&all(10)).await.unwrap().is_empty());
    let told = &ledger.deliveries(&page(), Some(&row.id)).await.unwrap()[0];
    assert_eq!((told.status, told.attempts, told.last_status), (DeliveryStatus::Delivered, 2, Some(200)));
    assert_eq!(ledger.attempts(id).await.unwrap().len(), 2);
    assert!(ledger.resend(id).await.unwrap());
    let last = ledger.claim_deliveries(&all(10)).await.unwrap().remove(0);
    ledger.settle_delivery(&last, &attempt(Some(410)), Next::Dead).await.unwrap();
    assert!(!ledger.resend("msg_none").await.unwrap());
    ledger.remove(&row).await.unwrap();
    assert!(ledger.attempts(id).await.unwrap().is_empty());
}

/// As a process does that was stopped during its attempt and goes on after another has done the work.
pub(super) async fn a_late_attempt_changes_no_delivery(ledger: &SqlLedger) {
    let row = upload();
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    ledger.finish(&row.id, &failed(), Some(&notice()), None).await.unwrap();
    let soon = Claim { lease: Duration::ZERO, ..all(10) };
    let late = ledger.claim_deliveries(&soon).await.unwrap().remove(0);
    let held = ledger.claim_deliveries(&all(10)).await.unwrap().remove(0);
    assert_eq!(late.id, held.id);
    for next in [Next::Dead, Next::Delivered, Next::RetryIn(LONG)] {
        assert!(!ledger.settle_delivery(&late, &attempt(Some(500)), next).await.unwrap(), "in another's hand");
    }
    assert!(ledger.settle_delivery(&held, &attempt(Some(200)), Next::Delivered).await.unwrap());
    for next in [Next::Dead, Next::RetryIn(LONG)] {
        assert!(!ledger.settle_delivery(&late, &attempt(Some(500)), next).await.unwrap(), "delivered by another");
        assert!(!ledger.settle_delivery(&held, &attempt(Some(500)), next).await.unwrap(), "settled once");
    }
    let told = ledger.delivery(&held.id).await.unwrap().unwrap();
    assert_eq!((told.status, told.attempts, told.last_status), (DeliveryStatus::Delivered, 1, Some(200)));
    assert_eq!(ledger.attempts(&held.id).await.unwrap().len(), 1);
    // Told again, resent or freed since, it is another claim's.
    ledger.finish(&row.id, &failed(), Some(&notice()), None).await.unwrap();
    assert!(!ledger.settle_delivery(&late, &attempt(Some(500)), Next::Dead).await.unwrap());
    let stale = ledger.claim_deliveries(&soon).await.unwrap().remove(0);
    assert!(ledger.resend(&stale.id).await.unwrap());
    assert!(!ledger.settle_delivery(&stale, &attempt(Some(500)), Next::Dead).await.unwrap(), "resent");
    let stale = ledger.claim_deliveries(&all(10)).await.unwrap().remove(0);
    assert!(ledger.resend(&stale.id).await.unwrap());
    assert_eq!(
        ledger.delivery(&stale.id).await.unwrap().unwrap().lease,
        stale.lease,
        "what is being sent stays in hand"
    );
    Ledger::recover(ledger).await.unwrap();
    assert!(!ledger.settle_delivery(&stale, &attempt(Some(500)), Next::Dead).await.unwrap(), "freed");
    ledger.remove(&row).await.unwrap();
}

pub(super) async fn the_same_delivery_again_is_sent_again_under_its_id(ledger: &dyn Ledger) {
    let row = upload();
    let other = Outcome::Failed(Failure::new("corrupt", "in another way"));
    let mut ids = Vec::new();
    for outcome in [failed(), failed(), other, failed()] {
        ledger.arrived(&row, &event(&row)).await.unwrap();
        ledger.finish(&row.id, &outcome, Some(&notice()), None).await.unwrap();
        let claimed = ledger.claim_deliveries(&all(10)).await.unwrap();
        assert_eq!(claimed.len(), 1);
        ledger.settle_delivery(&claimed[0], &attempt(Some(200)), Next::Delivered).await.unwrap();
        ids.push(claimed[0].id.clone());
    }
    assert_eq!(ids[0], ids[1], "found out twice, it is the same message");
    assert!(ids[1] != ids[2] && ids[3] != ids[2] && ids[3] != ids[0], "a receiver that drops known ids ends right");
    ledger.remove(&row).await.unwrap();
}

pub(super) async fn outcomes_are_told_in_their_order(ledger: &SqlLedger) {
    let row = upload();
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    for n in 0..11 {
        let outcome = Outcome::Failed(Failure::new("corrupt", format!("in the {n}th way")));
        ledger.finish(&row.id, &outcome, Some(&notice()), None).await.unwrap();
    }
    for n in 1..=11 {
        let due = ledger.claim_deliveries(&all(100)).await.unwrap();
        assert_eq!(due.iter().map(|d| d.id.clone()).collect::<Vec<_>>(), [format!("msg_{}_{n}", row.id)]);
        let next = if n == 5 { Next::Dead } else { Next::Delivered };
        ledger.settle_delivery(&due[0], &attempt(Some(200)), next).await.unwrap();
    }
    assert_eq!(ledger.outstanding().await.unwrap(), Outstanding { pending: 0, dead: 1 });
    ledger.remove(&row).await.unwrap();
}

pub(super) async fn a_busy_endpoint_holds_no_other_back(ledger: &SqlLedger) {
    let rows: Vec<_> = (0..20).map(|_| upload()).collect();
    ledger.create(&rows, None).await.unwrap();
    for (n, row) in rows.iter().enumerate() {
        let host = if n < 19 { "slow.example:8443" } else { "quick.example" };
        let notice = Notice { url: format!("https://{host}/{n}?a=b"), ..notice() };
        ledger.finish(&row.id, &failed(), Some(&notice), None).await.unwrap();
    }
    let claim = Claim { most: 10, most_each: 3, lease: LONG, except: &[] };
    let due = ledger.claim_deliveries(&claim).await.unwrap();
    let slow = "https://slow.example:8443".to_owned();
    assert_eq!(due.len(), 4);
    assert_eq!(due.iter().filter(|d| d.endpoint == slow).count(), 3);
    let except = [slow, "https://other.example".to_owned()];
    assert!(ledger.claim_deliveries(&Claim { except: &except, ..claim }).await.unwrap().is_empty());
    let told = ledger.delivery(&due[0].id).await.unwrap().unwrap();
    assert_eq!((told.id, told.body.as_str()), (due[0].id.clone(), "{}"));
    for row in &rows {
        ledger.remove(row).await.unwrap();
    }
}
