//! The OpenAPI document says what the router does: no more, no less, and nothing that points nowhere.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::Api;

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];

fn document() -> Value {
    serde_json::from_str(&segue_api::document()).unwrap()
}

fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if let (true, Some(reference)) = (name == "$ref", field.as_str()) {
                    found.insert(reference);
                }
                references(field, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_is_served_and_is_openapi_3_1() {
    let reply = Api::new().ask("GET", "/openapi.json").await;
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.json(), document());
    assert!(reply.json()["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(reply.json()["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_reference_of_the_document_points_at_something() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 10, "the check sees the references: {found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("references stay inside the document");
        assert!(document.pointer(pointer).is_some(), "{reference} points nowhere");
    }
}

#[test]
fn every_operation_is_described_and_named_once() {
    let document = document();
    let mut names = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} names two operations");
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            for segment in path.split('/').filter_map(|segment| segment.strip_prefix('{')) {
                let parameter = segment.trim_end_matches('}');
                let known = operation["parameters"].as_array().unwrap();
                assert!(
                    known.iter().any(|known| known["name"] == parameter && known["in"] == "path"),
                    "{path}"
                );
            }
            let mut parameters = BTreeSet::new();
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let key = (parameter["in"].to_string(), parameter["name"].to_string());
                assert!(parameters.insert(key), "{method} {path} has a parameter twice: {parameter}");
            }
        }
    }
    assert_eq!(names.len(), 17);
}

#[test]
fn every_query_parameter_is_in_the_document() {
    let document = document();
    for (path, expected) in [
        ("/v1/calls", ["agent", "cursor", "handoff_state", "limit", "state"].as_slice()),
        ("/v1/events", &["after", "call", "on_gap"]),
    ] {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        let names: BTreeSet<&str> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, expected.iter().copied().collect(), "{path}");
    }
}

#[tokio::test]
async fn the_router_knows_exactly_the_methods_and_paths_of_the_document() {
    let api = Api::new();
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    for (path, methods) in paths {
        for method in METHODS {
            let known = api.ask(method, &path.replace("{id}", "one")).await.status.as_u16() != 405;
            let documented = methods.get(method.to_lowercase()).is_some();
            assert_eq!(known, documented, "{method} {path}");
        }
    }
    // The other way round: every path that the router is built from.
    let built: BTreeSet<&str> = segue_api::paths().into_iter().collect();
    assert_eq!(built, paths.keys().map(String::as_str).collect());
}
