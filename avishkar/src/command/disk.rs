//! `avishkar disk`: what the platform has on the disks of its nodes, and the removal of what nobody refers to.

use std::time::Duration;

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::cli::{Collect, Disk, DiskAct};
use crate::client::Client;
use crate::output::{Output, table};

/// Images are removed one after the other.
const COLLECT_WITHIN: Duration = Duration::from_mins(6);
/// So much of a digest tells it from others.
const SHORT: usize = 19;

#[derive(Serialize, Deserialize)]
struct Node {
    name: String,
}

#[derive(Serialize, Deserialize)]
struct OfNode {
    node: String,
    space: Space,
    collectable_bytes: u64,
    images: Vec<Image>,
    bundles: Vec<Bundle>,
    /// Where bundles have a disk of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bundle_space: Option<Space>,
}

#[derive(Serialize, Deserialize)]
struct Space {
    total_bytes: u64,
    free_bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct Image {
    kind: String,
    digest: String,
    names: Vec<String>,
    bytes: u64,
    own_bytes: u64,
    created: String,
    references: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Bundle {
    digest: String,
    bytes: u64,
    references: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Collected {
    node: String,
    before: Space,
    after: Space,
    freed_bytes: u64,
    items: Vec<Item>,
}

#[derive(Serialize, Deserialize)]
struct Item {
    kind: String,
    digest: String,
    names: Vec<String>,
    own_bytes: u64,
    stays: Option<String>,
}

pub(crate) async fn run(client: &Client, args: &Disk, output: Output) -> anyhow::Result<()> {
    match (&args.act, &args.node) {
        (Some(DiskAct::Collect(collect)), _) => remove(client, collect, output).await,
        (None, Some(node)) => one(client, node.as_str(), output).await,
        (None, None) => all(client, output).await,
    }
}

async fn of(client: &Client, node: &str) -> anyhow::Result<OfNode> {
    client.get(&format!("/api/v1/nodes/{node}/disk")).await
}

async fn all(client: &Client, output: Output) -> anyhow::Result<()> {
    let nodes: Vec<Node> = client.get("/api/v1/nodes").await?;
    let (mut answers, mut rows) = (Vec::new(), Vec::new());
    for Node { name } in nodes {
        match of(client, &name).await {
            Ok(disk) => {
                rows.push(row(&disk));
                answers.push(serde_json::to_value(&disk)?);
            }
            // One that is away keeps nothing of the others from being seen.
            Err(err) => {
                answers.push(serde_json::json!({ "node": &name, "error": err.to_string() }));
                rows.push(vec![name, format!("{err:#}")]);
            }
        }
    }
    let head = ["NODE", "SIZE", "FREE", "IMAGES", "BUNDLES", "MAY GO"];
    output.answer(&answers, &table(&head, &rows))
}

fn row(disk: &OfNode) -> Vec<String> {
    vec![
        disk.node.clone(),
        human(disk.space.total_bytes),
        human(disk.space.free_bytes),
        disk.images.len().to_string(),
        disk.bundles.len().to_string(),
        human(disk.collectable_bytes),
    ]
}

async fn one(client: &Client, node: &str, output: Output) -> anyhow::Result<()> {
    let disk = of(client, node).await?;
    let image = |image: &Image| {
        let name = called(&image.names, &image.digest);
        let own = human(image.own_bytes);
        vec![image.kind.clone(), name, human(image.bytes), own, because(&image.references)]
    };
    let bundle = |bundle: &Bundle| {
        let size = human(bundle.bytes);
        let why = bundle.references.join(", ");
        vec!["bundle".to_owned(), short(&bundle.digest), size.clone(), size, why]
    };
    let rows: Vec<Vec<String>> =
        disk.images.iter().map(image).chain(disk.bundles.iter().map(bundle)).collect();
    let mut space = format!(
        "{}: {} free of {}; a collection frees {} at least",
        disk.node,
        human(disk.space.free_bytes),
        human(disk.space.total_bytes),
        human(disk.collectable_bytes)
    );
    if let Some(own) = &disk.bundle_space {
        let (free, total) = (human(own.free_bytes), human(own.total_bytes));
        space += &format!("; bundles have a disk of their own: {free} free of {total}");
    }
    let listed = table(&["KIND", "WHAT", "SIZE", "OWN", "KEPT FOR"], &rows);
    output.answer(&disk, &format!("{space}\n{listed}"))
}

async fn remove(client: &Client, args: &Collect, output: Output) -> anyhow::Result<()> {
    let mode = if args.yes { "remove" } else { "plan" };
    let body = serde_json::json!({ "until_free_bytes": args.until_free, "mode": mode });
    let request =
        client.request(Method::POST, &format!("/api/v1/nodes/{}/disk/collect", args.node))?;
    let collected: Collected = client.send(request.timeout(COLLECT_WITHIN).json(&body)).await?;
    let row = |item: &Item| {
        let stays = item.stays.as_ref().map_or_else(String::new, |why| format!("stays: {why}"));
        vec![item.kind.clone(), called(&item.names, &item.digest), human(item.own_bytes), stays]
    };
    let rows: Vec<Vec<String>> = collected.items.iter().map(row).collect();
    let said = match (collected.items.is_empty(), args.yes) {
        (true, _) => format!("{}: nothing has to go, or nothing may", collected.node),
        (false, false) => format!(
            "{} would free {} at least; with --yes it does",
            collected.node,
            human(collected.freed_bytes)
        ),
        (false, true) => format!(
            "{}: {} free, {} before",
            collected.node,
            human(collected.after.free_bytes),
            human(collected.before.free_bytes)
        ),
    };
    let listed =
        if rows.is_empty() { String::new() } else { table(&["KIND", "WHAT", "FREES", ""], &rows) };
    output.answer(&collected, format!("{listed}\n{said}").trim_start())
}

fn because(references: &[String]) -> String {
    if references.is_empty() { "nobody: it may go".to_owned() } else { references.join(", ") }
}

/// Its first name without the digest, which has a column's width of its own.
fn called(names: &[String], digest: &str) -> String {
    let Some(name) = names.first() else { return short(digest) };
    let (repository, digest) = name.split_once('@').unwrap_or((name, digest));
    format!("{repository}@{}", short(digest))
}

fn short(digest: &str) -> String {
    digest.chars().take(SHORT).collect()
}

/// Rounded down, as it is said of disks: with a digit after the point below ten.
fn human(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, power) in units {
        let whole = bytes >> power;
        if whole >= 10 {
            return format!("{whole} {unit}");
        }
        if whole >= 1 {
            let tenth = ((bytes - (whole << power)) * 10) >> power;
            return format!("{whole}.{tenth} {unit}");
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_said_as_people_say_them() {
        for (bytes, said) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_572_864, "1.5 MiB"),
            (10 << 30, "10 GiB"),
            (u64::MAX, "16777215 TiB"),
        ] {
            assert_eq!(human(bytes), said);
        }
    }

    #[test]
    fn an_image_is_called_by_its_name_and_a_short_digest() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        let name = format!("registry.example.org:5000/apps/shop@{digest}");
        let expected = "registry.example.org:5000/apps/shop@sha256:0123456789ab";
        assert_eq!(called(&[name], &digest), expected);
        assert_eq!(called(&[], &digest), "sha256:0123456789ab");
    }
}
