use proptest::prelude::*;

use super::*;

/// What the hosts of a value are, as `name` or `name.namespace`.
fn named(name: &str, value: &str) -> Vec<String> {
    let spelt = |host: Host| match host.namespace {
        Some(namespace) => format!("{}.{namespace}", host.name),
        None => host.name,
    };
    hosts(name, value).into_iter().map(spelt).collect()
}

#[test]
fn a_host_is_found_in_whatever_names_one() {
    let told = [
        ("http://orders", "orders"),
        ("HTTP://Orders:8080/v1?x=y#z", "orders"),
        ("orders:8080", "orders"),
        ("https://orders.shop.svc.cluster.local./x", "orders.shop"),
        ("orders.shop.svc", "orders.shop"),
        ("orders.shop:80", "orders.shop"),
        (
            "postgres://user:p%40ss@db.shop:5432/x?sslmode=off",
            "db.shop",
        ),
        ("jdbc:postgresql://db:5432/x", "db"),
        ("jdbc:oracle:thin:@db:1521:x", "db"),
        ("user:pass@tcp(db:3306)/x", "db"),
        ("host=db port=5432 user=web password=redis", "db"),
        ("Server=db;Database=web;Password=redis", "db"),
        ("[\"http://a:1\", \"http://b:2\"]", "a b"),
        ("mongodb://u:p@a:1,b:2/x", "a b"),
        ("kafka-0.kafka.data.svc.cluster.local:9092", "kafka.data"),
        ("kafka-0.kafka.data:9092", "kafka.data"),
        ("kafka-0.kafka:9092", "kafka kafka-0.kafka"),
    ];
    for (value, expected) in told {
        assert_eq!(named("CONFIG", value).join(" "), expected, "{value}");
    }
}

#[test]
fn a_lone_word_is_a_host_only_where_the_variable_is_called_so() {
    for name in [
        "DB_HOST",
        "ORDERS_URL",
        "db.addr",
        "BACKEND_SERVICE",
        "host",
    ] {
        assert_eq!(named(name, "db"), ["db"], "{name}");
    }
    for name in [
        "TIER",
        "APP_NAME",
        "OTEL_SERVICE_NAME",
        "DB_PASSWORD",
        "HOST_KEY",
        "",
    ] {
        assert!(named(name, "db").is_empty(), "{name}");
    }
}

#[test]
fn what_is_no_host_name_is_no_service() {
    let none = [
        "10.0.0.1:80",
        "http://10.0.0.1",
        "http://[::1]:80",
        "image:v1.2",
        "image:0",
        "image:99999",
        "image:+80",
        "http://$(ORDERS_HOST):80",
        "http://-x/",
        "http://",
        "://",
        "://:@:/",
        "http://api.example.com",
        "/usr/bin:/bin",
        "a b c",
        "",
    ];
    for value in none {
        assert!(named("CONFIG", value).is_empty(), "{value}");
    }
    assert!(named("URL", &format!("http://{}", "a".repeat(64))).is_empty());
    assert!(named("URL", &format!("http://a/{}", "x".repeat(LONGEST))).is_empty());
}

#[test]
fn a_password_is_not_taken_for_the_host_behind_it() {
    assert_eq!(named("URL", "amqp://guest:redis@rabbit:5672/"), ["rabbit"]);
    assert_eq!(named("URL", "amqp://redis:a@b@rabbit/"), ["rabbit"]);
}

proptest! {
    /// Whatever the value, what is found could be a Service, and there is a bound to it.
    #[test]
    fn hostile_values_give_only_names_of_bounded_length(name in ".{0,40}", value in "(?s).{0,400}") {
        check(&hosts(&name, &value))?;
    }

    /// The same, of values that are built of what hosts and URLs are built of.
    #[test]
    fn hostile_urls_give_only_names_of_bounded_length(value in "([a-z]{1,3}|[A-Z-]|[0-9]|://|[:/@.,;=?#%$()\\[\\]{}\" \u{0}\u{e9}]|svc){0,60}") {
        check(&hosts("URL", &value))?;
        check(&hosts("X", &value))?;
    }

    /// Any Service that is named in full is found, whoever the user and whatever the path.
    #[test]
    fn a_service_named_in_full_is_always_found(
        name in "[a-z][a-z0-9]{0,20}(-[a-z0-9]{1,5})?", namespace in "[a-z][a-z0-9-]{0,20}[a-z0-9]",
        user in "([a-z]{1,5}(:[a-zA-Z0-9%!*]{1,9})?@)?", port in 1u16.., path in "(/[a-z:=@]{0,9})?",
    ) {
        prop_assume!(name != "svc" && namespace != "svc");
        let expected = Host { name: name.clone(), namespace: Some(namespace.clone()) };
        for host in [format!("{name}.{namespace}.svc"), format!("{name}.{namespace}.svc.cluster.local")] {
            let value = format!("scheme://{user}{host}:{port}{path}");
            prop_assert_eq!(hosts("X", &value), vec![expected.clone()], "{}", value);
        }
    }
}

fn check(found: &[Host]) -> Result<(), TestCaseError> {
    prop_assert!(found.len() <= HOSTS);
    for Host { name, namespace } in found {
        for label in [name.as_str(), namespace.as_deref().unwrap_or("x")] {
            let all = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            prop_assert!((1..=63).contains(&label.len()), "{}", label);
            prop_assert!(label.chars().all(all), "{}", label);
        }
    }
    Ok(())
}
