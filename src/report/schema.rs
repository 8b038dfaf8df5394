//! The JSON Schema of reports, derived from their types.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::json::{Line, Report};

/// The JSON Schema (draft 2020-12) of a report; under `$defs/Line` stands that of a line of `--format jsonl`.
#[must_use]
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    // A definition of its own, though no report refers to it.
    let _ = generator.subschema_for::<Line<'static>>();
    generator.into_root_schema_for::<Report>().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::samples;

    fn kept() -> std::path::PathBuf {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema/goprobe-1.schema.json")
    }

    fn validator(pointer: &str) -> jsonschema::Validator {
        let mut schema = schema();
        if !pointer.is_empty() {
            let object = schema.as_object_mut().unwrap();
            object.retain(|key, _| ["$schema", "$defs"].contains(&key.as_str()));
            object.insert("$ref".to_owned(), json!(pointer));
        }
        jsonschema::validator_for(&schema).unwrap()
    }

    fn complaints(validator: &jsonschema::Validator, document: &Value) -> Vec<String> {
        validator.iter_errors(document).map(|error| format!("{} at {}", error, error.instance_path())).collect()
    }

    #[test]
    fn the_schema_that_is_kept_is_that_of_the_types() {
        let text = format!("{:#}\n", schema());
        if std::env::var_os("BLESS").is_some() {
            std::fs::create_dir_all(kept().parent().unwrap()).unwrap();
            std::fs::write(kept(), text).unwrap();
        } else {
            let before = std::fs::read_to_string(kept()).unwrap();
            assert!(before == text, "the schema changed: run the tests with BLESS=1 and look at the difference");
        }
    }

    #[test]
    fn real_reports_are_valid() {
        let validator = validator("");
        for report in [samples::blocked(), samples::hostile(), samples::nothing(), samples::with_observations()] {
            let document: Value = serde_json::from_str(&report.json().unwrap()).unwrap();
            assert_eq!(complaints(&validator, &document), Vec::<String>::new());
        }
    }

    #[test]
    fn real_lines_are_valid() {
        let validator = validator("#/$defs/Line");
        for line in samples::blocked().json_lines().unwrap().lines() {
            let document: Value = serde_json::from_str(line).unwrap();
            assert_eq!(complaints(&validator, &document), Vec::<String>::new());
        }
    }

    #[test]
    fn what_breaks_a_promise_is_invalid() {
        let validator = validator("");
        let sound: Value = serde_json::from_str(&samples::blocked().json().unwrap()).unwrap();
        let breaks: [(&str, Value); 6] = [
            ("/findings/0/evidence", json!([])),
            ("/findings/0/code", json!("tls.no_such_code")),
            ("/findings/0/evidence/0/path", json!("beside a frame")),
            ("/findings/0/fingerprint", json!("v1:short")),
            ("/capture/first", json!("2026-11-22 10:00:00")),
            ("/verdict/outcome", json!("fine")),
        ];
        for (pointer, value) in breaks {
            let mut broken = sound.clone();
            *broken.pointer_mut(pointer).unwrap() = value;
            assert!(!validator.is_valid(&broken), "{pointer}");
        }
        let mut broken = sound;
        broken.as_object_mut().unwrap().remove("observations");
        assert!(!validator.is_valid(&broken), "a missing key");
    }
}
