//! Bundles of kind model: what becomes of a good one, and the code of each bad one.

use common::port::Blobs as _;
use common::record::path;
use common::record::release::{PythonDependencies, Release, Runtime, Source};
use testkit::raw_zip::{RawEntry, RawZip};

use crate::world::{World, archive, dev};

const NAMED: &str = "[model]\nfile = \"weights.json\"\n";
const CONTRACT: &str = "def load(path):\n    ...\n\n\ndef predict(model, input):\n    ...\n";
const FILE: (&str, &str) = ("weights.json", "{}");

#[tokio::test]
async fn a_model_is_a_release_that_the_platform_serves() {
    let world = World::new();
    world
        .during(async |api| {
            let zip = archive(&[
                ("rents/avishkar.toml", NAMED),
                ("rents/weights.json", "{}"),
                ("rents/model.py", CONTRACT),
                ("rents/requirements.txt", "numpy\n"),
            ]);
            let made = api.upload("rents", &dev(), zip).await;
            assert_eq!(made.status, 201, "{made:?}");
            assert_eq!(made.body["source"]["runtime"]["is"], "model");
            assert_eq!(made.body["health"], "/health");
            let at = path::release(&"rents".parse().unwrap(), common::id::ReleaseNumber(1));
            let release: Release = world.read(&at).unwrap();
            assert!(release.is_model());
            let Source::Bundle { plan, .. } = release.source else { panic!("a bundle") };
            let dependencies = PythonDependencies::Requirements;
            assert_eq!(plan.runtime, Runtime::Model { dependencies });
            assert_eq!(plan.root, "rents");
            assert!(plan.command.contains(&"weights.json".to_owned()), "{:?}", plan.command);
        })
        .await;
}

/// A bundle of a model, the code it is refused with, and what the refusal says.
type BadModel = (Vec<(&'static str, &'static str)>, &'static str, &'static str);

fn bad_models() -> Vec<BadModel> {
    let manifest = |text: &'static str| ("avishkar.toml", text);
    let contract = |text: &'static str| ("model.py", text);
    vec![
        (vec![manifest(NAMED), contract(CONTRACT)], "MODEL_FILE_MISSING", "weights.json"),
        (vec![manifest(NAMED), FILE, ("main.py", "")], "MODEL_CONTRACT_MISSING", "model.py"),
        (
            vec![manifest(NAMED), FILE, contract("def load(path):\n    ...\n")],
            "MODEL_CONTRACT_INVALID",
            "no function predict(model, input)",
        ),
        (
            vec![manifest(NAMED), FILE, contract("def load(): 0\ndef predict(model, input): 0\n")],
            "MODEL_CONTRACT_INVALID",
            "called as load(path)",
        ),
        (
            vec![manifest("[model]\nfile = \"../weights.json\"\n"), FILE, contract(CONTRACT)],
            "MODEL_NAME_INVALID",
            "line 2, column 8",
        ),
        (
            vec![manifest("[model]\nfile = \"weights.json\"\ncontract = \"my model.py\"\n"), FILE],
            "MODEL_NAME_INVALID",
            "line 3, column 12",
        ),
        (vec![manifest("[model]\n"), FILE, contract(CONTRACT)], "MANIFEST_INVALID", "file"),
        (
            vec![
                manifest("[model]\nfile = \"weights.json\"\nkind = 1\n"),
                FILE,
                contract(CONTRACT),
            ],
            "MANIFEST_UNKNOWN_FIELD",
            "line 3",
        ),
        (
            vec![manifest("health = \"/up\"\n[model]\nfile = \"weights.json\"\n"), FILE],
            "MANIFEST_INVALID",
            "answers at /health",
        ),
        (
            vec![manifest(NAMED), FILE, contract(CONTRACT), ("Procfile", "web: python main.py\n")],
            "PROCFILE_INVALID",
            "served by the platform",
        ),
        (
            vec![
                manifest("[model]\nfile = \"weights.json\"\ntimeout_seconds = 601\n"),
                FILE,
                contract(CONTRACT),
            ],
            "MANIFEST_INVALID",
            "from 1 to 600",
        ),
    ]
}

#[tokio::test]
async fn every_bad_model_gets_its_code_and_leaves_nothing() {
    let world = World::new();
    world
        .during(async |api| {
            for (files, code, detail) in bad_models() {
                let answer = api.upload("rents", &dev(), archive(&files)).await;
                assert_eq!(answer.told(), (422, code), "{answer:?}");
                assert!(answer.body["detail"].as_str().unwrap().contains(detail), "{answer:?}");
            }
            assert_eq!(world.blobs.list().await.unwrap(), []);
        })
        .await;
}

#[tokio::test]
async fn a_model_that_does_not_fit_into_a_replicas_memory_is_refused() {
    let large = vec![b'x'; (16 << 20) + 1];
    let manifest = b"memory = \"16m\"\n[model]\nfile = \"weights.json\"\n";
    let entries = [
        RawEntry::stored("avishkar.toml", manifest),
        RawEntry::stored("model.py", CONTRACT.as_bytes()),
        RawEntry::stored("weights.json", &large),
    ];
    let zip = RawZip::of(entries).bytes();
    let world = World::new();
    world
        .during(async |api| {
            let answer = api.upload("rents", &dev(), zip).await;
            assert_eq!(answer.told(), (422, "MODEL_FILE_TOO_LARGE"), "{answer:?}");
            assert!(answer.body["detail"].as_str().unwrap().contains("16777217 bytes"));
        })
        .await;
}
