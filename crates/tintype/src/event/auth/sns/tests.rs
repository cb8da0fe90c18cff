#![allow(clippy::unwrap_used)]
use serde_json::json;
use time::macros::datetime;

use super::*;

const TOPIC: &str = "arn:aws:sns:us-west-2:123456789012:MyTopic";
const NOW: OffsetDateTime = datetime!(2012-05-02 00:54:06.655 UTC);

/// The examples of <https://docs.aws.amazon.com/sns/latest/dg/http-notification-json.html>.
fn notification() -> Value {
    json!({
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Subject": "My First Message",
        "Message": "Hello world!",
        "Timestamp": "2012-05-02T00:54:06.655Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLEw6JRN",
        "SigningCertURL": "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem",
        "UnsubscribeURL": "https://sns.us-west-2.amazonaws.com/?Action=Unsubscribe"
    })
}

fn confirmation() -> Value {
    let mut value = notification();
    value["Type"] = "SubscriptionConfirmation".into();
    value["Token"] = "2336412f37".into();
    value["SubscribeURL"] =
        format!("https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37")
            .into();
    value.as_object_mut().unwrap().remove("Subject");
    value
}

fn sns(endpoint: Option<&str>) -> Sns {
    Sns::new(vec![TOPIC.to_owned()], endpoint.map(|url| url.parse().unwrap())).unwrap()
}

#[test]
fn a_notification_is_signed_in_the_documented_order() {
    let expected = "Message\nHello world!\nMessageId\n22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324\nSubject\nMy First Message\n\
                    Timestamp\n2012-05-02T00:54:06.655Z\nTopicArn\narn:aws:sns:us-west-2:123456789012:MyTopic\n\
                    Type\nNotification\n";
    assert_eq!(Message::of(&notification()).unwrap().canonical().unwrap(), expected);
    let mut without = notification();
    without.as_object_mut().unwrap().remove("Subject");
    let without = Message::of(&without).unwrap().canonical().unwrap();
    assert_eq!(without, expected.replace("Subject\nMy First Message\n", ""));
}

#[test]
fn a_confirmation_signs_its_address_and_token() {
    let message = Message::of(&confirmation()).unwrap();
    let expected = format!(
        "Message\nHello world!\nMessageId\n22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324\nSubscribeURL\n{}\n\
         Timestamp\n2012-05-02T00:54:06.655Z\nToken\n2336412f37\nTopicArn\n{TOPIC}\nType\nSubscriptionConfirmation\n",
        message.subscribe_url.as_deref().unwrap()
    );
    assert_eq!(message.canonical().unwrap(), expected);
    let mut tokenless = confirmation();
    tokenless["Token"] = Value::Null;
    assert_eq!(Message::of(&tokenless).unwrap().canonical(), None);
}

#[test]
fn only_sns_itself_is_trusted() {
    for (topic, good) in [
        (TOPIC, "https://sns.us-west-2.amazonaws.com/a.pem"),
        ("arn:aws-cn:sns:cn-north-1:123456789012:a", "https://sns.cn-north-1.amazonaws.com.cn/a.pem"),
        ("arn:aws-us-gov:sns:us-gov-west-1:123456789012:a", "https://sns.us-gov-west-1.amazonaws.com/a.pem"),
    ] {
        assert!(sns(None).trusted(good, topic).is_some(), "{good}");
    }
    for bad in [
        "http://sns.us-west-2.amazonaws.com/a.pem",
        "https://sns.us-east-1.amazonaws.com/a.pem",
        "https://sns.xx-invented-1.amazonaws.com/a.pem",
        "https://sns.us-west-2.amazonaws.com.cn/a.pem",
        "https://sns.us-west-2.amazonaws.com:8443/a.pem",
        "https://sns.us-west-2.amazonaws.com.evil.example/a.pem",
        "https://evil.example/sns.us-west-2.amazonaws.com/a.pem",
        "https://sns.us-west-2.amazonaws.com@evil.example/a.pem",
        "https://user@sns.us-west-2.amazonaws.com/a.pem",
        "https://sns.evil.us-west-2.amazonaws.com/a.pem",
        "https://sns.amazonaws.com/a.pem",
        "https://mysns.us-west-2.amazonaws.com/a.pem",
        "https://s3.us-west-2.amazonaws.com/sns/a.pem",
        "https://127.0.0.1/a.pem",
        "nonsense",
    ] {
        assert!(sns(None).trusted(bad, TOPIC).is_none(), "{bad}");
    }
    let local = sns(Some("http://127.0.0.1:4566"));
    assert!(local.trusted("http://127.0.0.1:4566/a.pem", TOPIC).is_some());
    for other in ["https://sns.us-west-2.amazonaws.com/a.pem", "http://127.0.0.1:4567/a.pem"] {
        assert!(local.trusted(other, TOPIC).is_none(), "{other}");
    }
}

#[test]
fn regions_and_certificates_have_names_of_their_kind() {
    for good in ["us-east-1", "eu-west-1", "us-gov-east-1", "ap-southeast-7", "us-iso-east-1", "mx-central-1"] {
        assert!(is_region(good), "{good}");
    }
    for bad in
        ["", "us", "us-1", "us--1", "us-east-", "us-east-100", "US-EAST-1", "a-b-1", "us-east-1.evil", "x-y-z-w-1"]
    {
        assert!(!is_region(bad), "{bad}");
    }
    assert!(is_certificate_name("/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem"));
    for bad in [
        "/a.pem",
        "/SimpleNotificationService-.pem",
        "/x/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem",
    ] {
        assert!(!is_certificate_name(bad), "{bad}");
    }
}

#[test]
fn an_address_confirms_or_does_something_else() {
    let confirms = |text: &str| confirms(&text.parse().unwrap(), TOPIC);
    let url = format!("https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=1");
    assert!(confirms(&url));
    for wrong in [
        url.replace("Confirm", "Delete"),
        url.replace("MyTopic", "Other"),
        url.replace("/?", "/x?"),
        format!("{url}&Action=Publish"),
    ] {
        assert!(!confirms(&wrong), "{wrong}");
    }
}

#[test]
fn an_hour_and_no_more_is_a_message_good() {
    let at = "2012-05-02T00:54:06.655Z";
    assert_eq!(must_be_recent(at, NOW), Ok(()));
    assert_eq!(must_be_recent(at, NOW + Duration::minutes(59)), Ok(()));
    assert_eq!(must_be_recent(at, NOW - Duration::minutes(4)), Ok(()));
    for (text, now) in [(at, NOW + Duration::minutes(61)), (at, NOW - Duration::minutes(6)), ("yesterday", NOW)] {
        assert!(matches!(must_be_recent(text, now), Err(Refusal::Unauthorized(_))), "{text} at {now}");
    }
}

#[tokio::test]
async fn nothing_is_fetched_for_what_cannot_be_good() {
    let with = |name: &str, value: &str| {
        let mut message = notification();
        message[name] = value.into();
        Message::of(&message).unwrap()
    };
    // A fetch would end in `Unavailable`: there is no such host.
    let sns = sns(None);
    let foreign = with("TopicArn", "arn:aws:sns:us-west-2:666666666666:MyTopic");
    assert!(matches!(sns.verify(&foreign, None, NOW).await, Err(Refusal::Forbidden(_))));
    assert!(matches!(sns.confirm(&foreign).await, Err(Refusal::Forbidden(_))));
    for (name, value) in [
        ("Timestamp", "2012-05-01T00:54:06.655Z"),
        ("SignatureVersion", "3"),
        ("Signature", "%"),
        ("SigningCertURL", "https://evil.example/a.pem"),
        ("SigningCertURL", "https://sns.us-west-2.amazonaws.com/a.txt"),
        ("SigningCertURL", "https://sns.us-west-2.amazonaws.com/a.pem"),
        (
            "SigningCertURL",
            "https://sns.us-west-1.amazonaws.com/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem",
        ),
        ("SigningCertURL", "https://sns.us-west-2.amazonaws.com/?Action=Publish&x=.pem"),
    ] {
        let judged = sns.verify(&with(name, value), None, NOW).await;
        assert!(matches!(judged, Err(Refusal::Unauthorized(_))), "{name}: {judged:?}");
    }
}
