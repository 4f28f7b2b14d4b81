//! A bundle as a whole.

use std::io::Cursor;

use common::port::container::Limits as ContainerLimits;
use common::record::release::{PythonDependencies, Runtime};
use testkit::raw_zip::{RawEntry, RawZip};

use super::*;

const BOUNDS: Bounds = Bounds {
    default_limits: ContainerLimits { memory_bytes: 1 << 28, cpu_millis: 500, processes: 256 },
    max_memory_bytes: 1 << 32,
    max_cpu_millis: 4000,
    max_replicas: 20,
};

fn inspect_files(files: &[(&str, &str)]) -> Result<Bundle, Error> {
    let entries = files.iter().map(|(name, text)| RawEntry::stored(name, text.as_bytes()));
    let bytes = RawZip::of(entries).bytes();
    inspect(Cursor::new(bytes), &archive::Limits::default(), &BOUNDS, &|| false)
}

#[test]
fn an_app_at_the_top_and_one_in_a_folder_are_the_same() {
    for (prefix, root) in [("", ""), ("shop/", "shop")] {
        let files = [
            (format!("{prefix}main.py"), "print()"),
            (format!("{prefix}requirements.txt"), "flask\n"),
            (format!("{prefix}avishkar.toml"), "port = 9000\n"),
            (format!("{prefix}app.json"), "{\"applicationName\": \"shop\"}"),
            ("__MACOSX/._main.py".to_owned(), "litter"),
        ];
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let bundle = inspect_files(&files).unwrap();
        assert_eq!(bundle.plan.root, root);
        assert_eq!(
            bundle.plan.runtime,
            Runtime::Python { dependencies: PythonDependencies::Requirements }
        );
        assert_eq!(bundle.settings.port, 9000);
        assert_eq!(bundle.app_json.unwrap().application_name.as_deref(), Some("shop"));
    }
}

#[test]
fn two_folders_are_not_entered() {
    let refused = inspect_files(&[("a/main.py", ""), ("b/main.py", "")]);
    assert!(matches!(refused, Err(Error::Detect(detect::Error::Unrecognised(_)))), "{refused:?}");
}

#[test]
fn a_dockerfile_of_the_apps_own_is_refused_in_every_spelling() {
    for name in ["Dockerfile", "dockerfile", "DOCKERFILE", "Containerfile", "shop/Dockerfile"] {
        let main = if name.contains('/') { "shop/main.py" } else { "main.py" };
        let refused = inspect_files(&[(main, ""), (name, "FROM scratch")]);
        assert!(matches!(refused, Err(Error::Dockerfile(_))), "{name}: {refused:?}");
    }
    assert!(inspect_files(&[("main.py", ""), ("docs/Dockerfile", "FROM scratch")]).is_ok());
}

#[test]
fn manifests_have_a_size() {
    let long = format!("# {}", "x".repeat(70_000));
    for name in ["avishkar.toml", "app.json"] {
        let refused = inspect_files(&[("main.py", ""), (name, &long)]);
        assert!(matches!(refused, Err(Error::ManifestTooLarge { .. })), "{name}: {refused:?}");
    }
}

#[test]
fn nothing_recognised_is_said_so() {
    for files in [&[][..], &[("notes.txt", "hello")]] {
        let refused = inspect_files(files);
        assert!(matches!(refused, Err(Error::Detect(detect::Error::Unrecognised(_)))));
    }
}
