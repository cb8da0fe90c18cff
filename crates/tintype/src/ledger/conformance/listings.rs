//! What lists give, and how they are searched.

use super::*;

pub(super) async fn listings_go_on_where_they_stopped(ledger: &dyn Ledger) {
    let mut rows: Vec<_> = (0..5).map(|_| upload()).collect();
    // Two of the same instant must both be listed, once.
    for (row, age) in rows.iter_mut().zip([0, 1, 1, 2, 3]) {
        row.status = Status::Failed;
        row.created_at += Duration::from_secs(1000 - age);
    }
    ledger.create(&rows, None).await.unwrap();
    let mut seen = Vec::new();
    let mut page = Page { status: Some("failed".into()), before: None, limit: 2 };
    while seen.len() < 5 {
        let found = ledger.list(&page, &Search::default()).await.unwrap();
        page.before = found.last().map(|row| (row.created_at, row.id.to_string()));
        seen.extend(found.into_iter().map(|row| row.id));
    }
    rows.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(a.id.cmp(&b.id)));
    assert_eq!(seen[..5], rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>());
    let counts = ledger.count().await.unwrap();
    assert!(counts.iter().any(|(status, n)| *status == Status::Failed && *n >= 5), "{counts:?}");
}

pub(super) async fn uploads_are_found_by_how_they_begin(ledger: &dyn Ledger) {
    let rows = [upload(), upload()];
    ledger.create(&rows, None).await.unwrap();
    let found = async |beginnings: &[&str]| {
        let beginnings = beginnings.iter().map(|text| (*text).to_owned()).collect();
        let search = Search { beginnings, text: None };
        let failed = Page { status: Some("failed".into()), ..page() };
        assert!(ledger.list(&failed, &search).await.unwrap().is_empty(), "they are pending");
        ledger.list(&page(), &search).await.unwrap().into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let (id, key) = (rows[0].id.as_str(), rows[1].key.as_str());
    assert_eq!(found(&[&id[..20]]).await, [rows[0].id.clone()]);
    assert_eq!(found(&["nothing", key]).await, [rows[1].id.clone()]);
    assert!(found(&["%"]).await.is_empty() && found(&["_"]).await.is_empty(), "a text stands for itself");
    for row in &rows {
        ledger.remove(row).await.unwrap();
    }
}

pub(super) async fn uploads_are_found_by_their_file_names_and_metadata(ledger: &dyn Ledger) {
    let mut rows = [upload(), upload(), upload()];
    let metadata =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    rows[0].filename = Some("Corgi 100%_é.JPG".into());
    rows[0].policy.metadata = metadata(&[("id", "12345"), ("who", "O\"Hara")]);
    rows[1].filename = Some("cat.jpg".into());
    rows[1].policy.metadata = metadata(&[("album", "Summer_2026"), ("corgi", "no")]);
    ledger.create(&rows, None).await.unwrap();
    let found = async |text: &str| {
        let search = Search { beginnings: Vec::new(), text: Some(text.to_owned()) };
        ledger.list(&page(), &search).await.unwrap().into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let only = |n: usize| vec![rows[n].id.clone()];
    for (text, n) in [
        ("corgi", 0),
        ("ORGI 1", 0),
        ("100%_", 0),
        ("%_é", 0),
        ("12345", 0),
        ("123", 0),
        ("o\"har", 0),
        ("CAT", 1),
        ("summer_2", 1),
        ("no", 1),
    ] {
        assert_eq!(found(text).await, only(n), "{text}");
    }
    // A name of metadata is no value, a value is found by its beginning, and no character is a pattern.
    for nothing in ["album", "345", "o_hara", "c%t", "image/", "POST", "!"] {
        assert!(found(nothing).await.is_empty(), "{nothing}");
    }
    let search = Search { beginnings: vec![rows[2].id.to_string()], text: Some("cat".into()) };
    assert_eq!(ledger.list(&page(), &search).await.unwrap().len(), 2, "either is enough");
    for row in &rows {
        ledger.remove(row).await.unwrap();
    }
}
