//! Secrets of every kind, wherever they stand, and what stays.

use proptest::prelude::*;

use super::{names::Pseudonyms, patterns::Rule, *};

/// A text with a secret, the part of it that must not be seen, and its kind.
type Planted = (&'static str, &'static str, &'static str);

/// None of these is a key of anybody: they are made up, or their makers' examples.
pub(in crate::advise) const PLANTED: [Planted; 46] = [
    ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE", "aws"),
    ("ASIAY34FZKBOKMUTVV7A", "ASIAY34FZKBOKMUTVV7A", "aws"),
    (
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "credential",
    ),
    (
        "AIzaSyA-1234567890abcdefghijklmnopqrstu",
        "AIzaSyA-1234567890abcdefghijklmnopqrstu",
        "gcp",
    ),
    (
        "ya29.a0AfH6SMBx1234567890abcdef",
        "ya29.a0AfH6SMBx1234567890abcdef",
        "gcp",
    ),
    (
        "GOCSPX-1a2b3c4d5e6f7g8h9i0j",
        "GOCSPX-1a2b3c4d5e6f7g8h9i0j",
        "gcp",
    ),
    (
        "AccountKey=lJzRc1YdHaAA2KCNJJ1tkYwF/+mKK6Ygw0NGe170Xu592euJv2wYUtBlV8z+qnlcNQSnIYVTkLWntUO1F8j8rQ==",
        "lJzRc1YdHaAA2KCNJJ1tkYwF",
        "credential",
    ),
    (
        "abc8Q~defghijklmnopqrstuvwxyz0123456",
        "abc8Q~defghijklmnopqrstuvwxyz0123456",
        "azure",
    ),
    (
        "https://acct.blob.core.windows.net/c?sv=2022&sig=Z%2FRHIX5Xcg0Mq2rqI3OlWTjEg2tYkboXr1P9ZUXDtkk%3D",
        "Z%2FRHIX5Xcg0Mq2rqI3OlWTjEg2tYkboXr1P9ZUXDtkk%3D",
        "azure",
    ),
    (
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "github",
    ),
    (
        "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwx",
        "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwx",
        "github",
    ),
    (
        "glpat-ABCdef123456ghiJKL78",
        "glpat-ABCdef123456ghiJKL78",
        "gitlab",
    ),
    (
        "GR1348941abcdefghijklmnopqrs",
        "GR1348941abcdefghijklmnopqrs",
        "gitlab",
    ),
    (
        "xoxb-1234567890-abcdefghijklmnop",
        "xoxb-1234567890-abcdefghijklmnop",
        "slack",
    ),
    (
        "https://hooks.slack.com/services/T00000000/B00000000/abcdefghijklmnop",
        "T00000000/B00000000/abcdefghijklmnop",
        "slack",
    ),
    (
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "payment",
    ),
    (
        "rk_test_4eC39HqLyjWDarjtT1zdp7dc",
        "rk_test_4eC39HqLyjWDarjtT1zdp7dc",
        "payment",
    ),
    (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "payment",
    ),
    (
        "sq0csp-abcdefghijklmnop_qrstuvwxyz",
        "sq0csp-abcdefghijklmnop_qrstuvwxyz",
        "payment",
    ),
    (
        "sk-proj-abcdefghijklmnop1234",
        "sk-proj-abcdefghijklmnop1234",
        "service",
    ),
    (
        "hvs.CAESIJlU02LQZq1234567890",
        "hvs.CAESIJlU02LQZq1234567890",
        "service",
    ),
    (
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
        "eyJzdWIiOiIxMjM0In0",
        "jwt",
    ),
    (
        "postgres://shop:hunter2@db.shop.svc:5432/shop",
        "hunter2",
        "url-credentials",
    ),
    (
        "amqp://u:p%40ss:w0rd@mq/v",
        "p%40ss:w0rd",
        "url-credentials",
    ),
    (
        "https://tok3n@git.local/repo.git",
        "tok3n",
        "url-credentials",
    ),
    (
        "dial shop:hunter22@db:5432 failed",
        "hunter22",
        "url-credentials",
    ),
    (
        "Authorization: Basic c2hvcDpodW50ZXIy",
        "c2hvcDpodW50ZXIy",
        "authorization",
    ),
    (
        "authorization: Bearer abc.def-ghi",
        "abc.def-ghi",
        "authorization",
    ),
    (
        "\"Authorization\":\"Digest username=x, response=6629fae4\"",
        "6629fae4",
        "authorization",
    ),
    (
        "sent bearer 0123456789abcdef",
        "0123456789abcdef",
        "authorization",
    ),
    (
        "Cookie: session=abc123; theme=dark",
        "abc123",
        "authorization",
    ),
    ("DB_PASSWORD=s3cr3t!", "s3cr3t!", "credential"),
    (
        "password: 'correct horse battery'",
        "correct horse battery",
        "credential",
    ),
    ("{\"clientSecret\": \"a\\\"b c\"}", "a\\\"b c", "credential"),
    (
        "{\\\"password\\\":\\\"hunt er\\\"}",
        "hunt er",
        "credential",
    ),
    ("token => abcd1234", "abcd1234", "credential"),
    ("signing-key=00112233", "00112233", "credential"),
    ("mysql --password hunter2x", "hunter2x", "credential"),
    (
        "- name: API_TOKEN\n  value: qwertyuiop",
        "qwertyuiop",
        "credential",
    ),
    (
        "{\"name\":\"DB_PASS_KEY\",\"value\":\"zxcv bnm\"}",
        "zxcv bnm",
        "credential",
    ),
    (
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----",
        "IBAAKC",
        "pem",
    ),
    (
        "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBg",
        "MIIEvQIBADANBg",
        "pem",
    ),
    (
        "kind: Secret\ndata:\n  a: c3VwZXI=",
        "c3VwZXI=",
        "secret-data",
    ),
    (
        "\"data\": {\"pin\": \"MTIzNA==\"}",
        "MTIzNA==",
        "secret-data",
    ),
    (
        "kubectl.kubernetes.io/last-applied-configuration: {\"env\":[{\"x\":\"pl4inly\"}]}",
        "pl4inly",
        "applied-manifest",
    ),
    (
        "id R4nd0mStr1ngOfM4nyK1ndsXyZ9aB8cD7eF6",
        "R4nd0mStr1ngOfM4nyK1ndsXyZ9aB8cD7eF6",
        "opaque",
    ),
];

fn mask(text: &str) -> String {
    let mut redactor = Redactor::default();
    redactor.learn(text);
    redactor.mask(text)
}

#[test]
fn every_kind_of_secret_is_masked_and_counted() {
    for (text, secret, kind) in PLANTED {
        let mut redactor = Redactor::default();
        let masked = redactor.mask(text);
        assert!(!masked.contains(secret), "{text} → {masked}");
        let counts = redactor.into_counts();
        assert!(counts.contains_key(kind), "{text} → {masked}, {counts:?}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    let plain = [
        "Back-off restarting failed container app in pod web-7d9f8b6c5-x2lkq_shop(1f0c)",
        "Readiness probe failed: Get http://10.244.2.17:8080/healthz: context deadline exceeded",
        "0/5 nodes are available: 3 Insufficient memory, 2 node(s) had untolerated taint.",
        "Failed to pull image registry.local/web:1.2@sha256:3f1c8e2a0b9d4f5e6a7b8c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b",
        "couldn't find ConfigMap shop/web-settings",
        "MountVolume.SetUp failed for volume data, object shop/db-creds not registered",
        "/var/lib/kubelet/pods/0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0/volumes/kubernetes.io~empty-dir",
        "Deployment does not have minimum availability. ReplicaSetUpdated at 2026-11-24T16:05:35Z",
    ];
    for text in plain {
        assert_eq!(mask(text), text);
    }
}

#[test]
fn a_secret_that_one_text_gives_away_is_masked_in_all_and_in_base64() {
    let mut redactor = Redactor::default();
    redactor.learn("DB_PASSWORD=s3cr3t!9");
    redactor.learn("apiVersion: v1\nkind: Secret\ndata:\n  pin: Y29ycmVjdCBob3JzZQ==");
    let twins = [
        "s3cr3t!9",
        "czNjcjN0ITk",
        "correct horse",
        "Y29ycmVjdCBob3JzZQ",
    ];
    for twin in twins {
        let masked = redactor.mask(&format!("login with {twin} refused"));
        assert_eq!(masked, "login with (masked:learned) refused", "{twin}");
    }
    // "user:AKIAIOSFODNN7EXAMPLE" in base64
    assert_eq!(
        redactor.mask("got dXNlcjpBS0lBSU9TRk9ETk43RVhBTVBMRQ=="),
        "got (masked:encoded)"
    );
}

#[test]
fn what_cannot_be_gone_through_is_withheld_as_a_whole() {
    for text in [
        "broken \u{fffd} utf-8",
        "nul \0 byte",
        &"x".repeat(MOST_BYTES + 1),
    ] {
        let mut redactor = Redactor::default();
        assert_eq!(redactor.mask(text), WITHHELD);
        assert_eq!(redactor.into_counts(), [("withheld".to_owned(), 1)].into());
    }
}

#[test]
fn without_its_patterns_it_shows_nothing() {
    let broken = [("aws", "AKIA(".to_owned(), Rule::Whole)];
    let mut redactor = Redactor {
        patterns: Patterns::compile(&broken),
        ..Redactor::default()
    };
    redactor.learn("password=hunter2");
    assert_eq!(redactor.mask("harmless"), WITHHELD);
}

#[test]
fn what_cannot_be_seen_hides_no_secret() {
    assert_eq!(
        mask("key AKIA\u{200b}IOSFODNN7\u{ad}EXAMPLE"),
        "key (masked:aws)"
    );
}

#[test]
fn a_name_has_one_pseudonym_everywhere() {
    let mut names = Pseudonyms::default();
    names.add("Deployment", "web");
    names.add("Node", "ip-10-0-0-1.ec2.internal");
    names.add("namespace", "shop");
    let text = "web-7d9f8b6c5-x2lkq of Deployment shop/web on ip-10-0-0-1.ec2.internal: Get http://web.shop.svc:80/ at 10.1.2.3. webhook";
    let replaced = names.replace(text);
    assert_eq!(
        replaced,
        "name-1 of Deployment namespace-1/deployment-1 on node-1: Get http://deployment-1.namespace-1.svc:80/ at address-1. webhook"
    );
    assert_eq!(names.replace(text), replaced);
}

proptest! {
    #[test]
    fn masking_again_changes_nothing(
        before in any_text(), (planted, _, _) in proptest::sample::select(&PLANTED[..]), after in any_text()
    ) {
        let once = mask(&format!("{before}{planted}{after}"));
        prop_assert_eq!(mask(&once), once);
    }

    #[test]
    fn a_secret_is_masked_wherever_it_stands(
        before in any_text(), (planted, secret, _) in proptest::sample::select(&PLANTED[..]), after in any_text()
    ) {
        let masked = mask(&format!("{before}{planted}{after}"));
        prop_assert!(!masked.contains(secret), "{}", masked);
    }

    #[test]
    fn any_text_can_be_masked(text in "\\PC{0,200}") {
        let _ = mask(&text);
    }
}

/// Words, marks and halves of secrets.
fn any_text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-zA-Z0-9 .:=/_-]{0,12}",
        "\\PC{0,6}",
        proptest::sample::select(vec![
            " password=",
            "token: \"",
            "Bearer ",
            "://",
            "@",
            "-----BEGIN ",
            "eyJ",
            "(masked:",
            ")",
            "\n",
            "'",
            "\\\"",
        ])
        .prop_map(str::to_owned),
    ];
    proptest::collection::vec(word, 0..4).prop_map(|words| words.concat())
}
