//! A machine that is made in Azure.

use std::net::Ipv4Addr;

use common::port::host::Credential;
use common::port::machines::{AzureImage, AzureShape, Opening, Origin, Shape};

use super::super::section::{Entry, Section};
use super::{Around, Shaped, Taken};

const KEYS: [&str; 7] = ["name", "kind", "size", "disk_gib", "address", "image", "opened"];
const IMAGE_KEYS: [&str; 4] = ["publisher", "offer", "sku", "version"];
const OPENED_KEYS: [&str; 3] = ["first", "last", "from"];
const ORIGINS: [&str; 3] = ["network", "operators", "anywhere"];

pub(super) fn read(section: &Section<'_>, around: Around<'_>, taken: &mut Taken) -> Option<Shaped> {
    section.only(&KEYS);
    let size = match section.optional("size") {
        None => Some(AzureShape::SIZE.to_owned()),
        Some(entry) => entry.text().map(str::to_owned),
    };
    let disk_gib = match section.optional("disk_gib") {
        None => Some(None),
        Some(entry) => entry.whole(16..=4095).and_then(|gib| u32::try_from(gib).ok()).map(Some),
    };
    let address = match section.optional("address") {
        None => Some(None),
        Some(entry) => {
            let address: Option<Ipv4Addr> = entry.parsed("write an address of the subnet, or none");
            if let Some(address) = &address {
                taken.note(&entry, "address", address);
            }
            address.map(Some)
        }
    };
    let image = match section.optional("image") {
        None => Some(AzureImage::default()),
        Some(entry) => image(&entry),
    };
    let opened = match section.optional("opened") {
        None => Some(Vec::new()),
        Some(entry) => openings(&entry),
    };
    let shape = AzureShape {
        size: size?,
        image: image?,
        disk_gib: disk_gib?,
        address: address?,
        opened: opened?,
    };
    Some(Shaped {
        shape: Shape::Azure(shape),
        gate: None,
        address: None,
        user: around.azure_user?.to_owned(),
        credential: Credential::KeyFile(around.key_file.to_owned()),
        host_key: None,
    })
}

fn image(entry: &Entry<'_>) -> Option<AzureImage> {
    let section = entry.section()?;
    section.only(&IMAGE_KEYS);
    let hint = "write publisher, offer, sku and version, as `az vm image list` shows them";
    let [publisher, offer, sku, version] = IMAGE_KEYS
        .map(|key| section.required(key, hint).and_then(|entry| entry.text()).map(str::to_owned));
    Some(AzureImage { publisher: publisher?, offer: offer?, sku: sku?, version: version? })
}

fn openings(entry: &Entry<'_>) -> Option<Vec<Opening>> {
    let openings: Vec<Option<Opening>> = entry.list()?.iter().map(opening).collect();
    openings.into_iter().collect()
}

fn opening(entry: &Entry<'_>) -> Option<Opening> {
    let section = entry.section()?;
    section.only(&OPENED_KEYS);
    let hint = "write { first = 80, last = 443, from = \"anywhere\" }";
    let first = section.required("first", hint).and_then(|entry| entry.port());
    let last = section.required("last", hint);
    let last_port = last.as_ref().and_then(Entry::port);
    let from = section.required("from", hint).and_then(|entry| entry.word(&ORIGINS));
    let (first, last_port) = (first?, last_port?);
    if last_port < first {
        return last?.wrong(format!("{last_port} is before {first}"), "write the higher port here");
    }
    let from = match from? {
        "network" => Origin::Network,
        "operators" => Origin::Operators,
        _ => Origin::Anywhere,
    };
    Some(Opening { first, last: last_port, from })
}
