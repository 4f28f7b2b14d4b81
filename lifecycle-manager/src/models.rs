//! Which apps are models: document 000's hosted AI models are apps that say so.

use common::record::release::App;

/// Whether the `app.json` of an app says `"kind": "model"`.
pub(crate) fn is_model(app: &App) -> bool {
    let manifest = app.manifest.as_ref();
    let kind = manifest.and_then(|manifest| manifest.get("kind")).and_then(|kind| kind.as_str());
    kind == Some("model")
}
