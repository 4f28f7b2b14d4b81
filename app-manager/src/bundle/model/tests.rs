//! Models whose parts are there, and those that lack one.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const MEMORY: u64 = 256 << 20;
const CODE: &str = "def load(path): ...\ndef predict(model, input): ...\n";

struct Files<'a>(BTreeMap<&'a str, &'a [u8]>);

impl Root for Files<'_> {
    fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    fn size(&mut self, path: &str) -> Option<u64> {
        self.0.get(path).map(|content| content.len() as u64)
    }

    fn content(&mut self, path: &str) -> Option<Vec<u8>> {
        self.0.get(path).map(|content| content.to_vec())
    }

    fn has_variable(&self, _: &str) -> bool {
        false
    }

    fn folders(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }
}

fn read(text: &str) -> Result<Model, Wrong> {
    toml::from_str::<Written>(text).unwrap().read()
}

fn planned(text: &str, files: &[(&str, &str)]) -> Result<BuildPlan, Error> {
    let files = files.iter().map(|(path, content)| (*path, content.as_bytes())).collect();
    plan(&mut Files(files), &read(text).unwrap(), MEMORY)
}

#[test]
fn a_model_is_served_by_the_platforms_own_program() {
    let files = [("weights.json", "{}"), ("model.py", CODE)];
    let found = planned("file = \"weights.json\"", &files).unwrap();
    assert_eq!(found.runtime, Runtime::Model { dependencies: PythonDependencies::None });
    assert_eq!(
        found.command.join(" "),
        "python /usr/local/lib/avishkar/serve_model --file weights.json --contract model.py \
         --max-body-bytes 1048576 --timeout-seconds 30"
    );
    let files =
        [("nets/a-1.bin", "x"), ("serve.py", CODE), ("requirements.txt", "numpy"), ("main.py", "")];
    let text = "file = \"nets/a-1.bin\"\ncontract = \"serve.py\"\nmax_body_bytes = 9\n\
                timeout_seconds = 600";
    let found = planned(text, &files).unwrap();
    assert_eq!(found.runtime, Runtime::Model { dependencies: PythonDependencies::Requirements });
    assert!(found.command.ends_with(&["9".into(), "--timeout-seconds".into(), "600".into()]));
}

#[test]
fn what_is_missing_or_too_large_is_said() {
    let missing = planned("file = \"m.pkl\"", &[("model.py", CODE)]);
    assert_eq!(missing, Err(Error::FileMissing("m.pkl".to_owned())));
    let files = [("model.py", CODE.as_bytes()), ("m.pkl", &[b'x'; 65])];
    let model = read("file = \"m.pkl\"").unwrap();
    let refused = plan(&mut Files(files.into_iter().collect()), &model, 64);
    let file = "m.pkl".to_owned();
    assert_eq!(refused, Err(Error::FileTooLarge { file, size: 65, limit: 64 }));
    let missing = planned("file = \"m.pkl\"", &[("m.pkl", "x"), ("contract.py", CODE)]);
    assert_eq!(missing, Err(Error::ContractMissing("model.py".to_owned())));
    let refused = planned("file = \"m.pkl\"", &[("m.pkl", "x"), ("model.py", "def load(p): 0")]);
    let why = "model.py has no function predict(model, input)";
    assert_eq!(refused, Err(Error::ContractInvalid(why.to_owned())));
    let files = [("m.pkl", "x"), ("model.py", CODE), ("Procfile", "web: python main.py")];
    assert_eq!(planned("file = \"m.pkl\"", &files), Err(Error::Procfile));
}

#[test]
fn a_body_is_no_larger_than_the_memory_can_carry() {
    let said = |text: &str, memory: u64| {
        let files = [("m.pkl", &b"x"[..]), ("model.py", CODE.as_bytes())];
        let model = read(&format!("file = \"m.pkl\"\n{text}")).unwrap();
        let found = plan(&mut Files(files.into_iter().collect()), &model, memory)?;
        let at = found.command.iter().position(|word| word == "--max-body-bytes").unwrap();
        Ok(found.command[at + 1].clone())
    };
    assert_eq!(said("", 256 << 20).unwrap(), (1 << 20).to_string());
    assert_eq!(said("", 16 << 20).unwrap(), (128 << 10).to_string());
    assert_eq!(said("max_body_bytes = 2097152", 256 << 20).unwrap(), (2 << 20).to_string());
    assert_eq!(said("max_body_bytes = 16777216", 2048 << 20).unwrap(), (16 << 20).to_string());
    let refused = said("max_body_bytes = 2097153", 256 << 20);
    let (body, memory, most) = (2_097_153, 256 << 20, 2 << 20);
    assert_eq!(refused, Err(Error::BodyTooLarge { body, memory, most }));
}

#[test]
fn a_contract_that_is_no_text_is_refused() {
    let files = [("m.pkl", &b"x"[..]), ("model.py", b"\xff")];
    let model = read("file = \"m.pkl\"").unwrap();
    let refused = plan(&mut Files(files.into_iter().collect()), &model, 64);
    assert!(matches!(refused, Err(Error::ContractInvalid(_))), "{refused:?}");
}

#[test]
fn names_are_plain_and_numbers_have_bounds() {
    for name in [
        "", "/m.pkl", "../m.pkl", "a//m", ".m", "-m", "m $X", "a/../m", "m\\n", "ü.pkl", "model.py",
    ] {
        let refused = read(&format!("file = \"{name}\"")).unwrap_err();
        assert_eq!(refused.start, 7, "{name}");
        assert!(matches!(refused.what, What::Name(_)), "{name}: {refused:?}");
    }
    for name in ["", ".py", "model", "a/model.py", "my-model.py", "1.py", "m.PY", "m.py.py"] {
        let refused = read(&format!("file = \"m\"\ncontract = \"{name}\"")).unwrap_err();
        assert!(matches!(refused.what, What::Name(_)), "{name}: {refused:?}");
    }
    for wrong in ["max_body_bytes = 0", "max_body_bytes = 16777217", "timeout_seconds = 601"] {
        let refused = read(&format!("file = \"m\"\n{wrong}")).unwrap_err();
        assert!(matches!(refused.what, What::Number(_)), "{wrong}: {refused:?}");
    }
}
