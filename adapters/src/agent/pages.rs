//! What is said of more bundles than one order holds.

use common::agent::ORDER_BYTES;
use common::port::disk::{Need, Needs};

/// What stands beside the bundles is less than the rest.
const PAGE_BYTES: usize = ORDER_BYTES - 4096;

/// The same in parts, of which each fits an order: one at least, for it says that nothing else is known.
pub(super) fn pages(needs: &Needs) -> Vec<Needs> {
    let page = |bundles| Needs { at: needs.at, bundles };
    let (mut pages, mut bundles, mut bytes) = (Vec::new(), Vec::new(), 0);
    for need in &needs.bundles {
        let more = size(need);
        if bytes + more > PAGE_BYTES {
            pages.push(page(std::mem::take(&mut bundles)));
            bytes = 0;
        }
        bytes += more;
        bundles.push(need.clone());
    }
    pages.push(page(bundles));
    pages
}

/// As it is written, with the comma behind it.
fn size(need: &Need) -> usize {
    serde_json::to_vec(need).map_or(PAGE_BYTES, |written| written.len() + 1)
}

#[cfg(test)]
mod tests {
    use common::agent::NeedsAre;
    use common::digest::Digest;
    use common::id::Epoch;
    use common::port::nodes::Issuer;
    use common::service::ServiceName;
    use jiff::Timestamp;

    use super::*;

    fn needs(count: usize) -> Needs {
        let by = vec!["kept for some-instance".to_owned(); 5];
        let need =
            |number: usize| Need { digest: Digest::of(&number.to_le_bytes()), by: by.clone() };
        Needs { at: Timestamp::UNIX_EPOCH, bundles: (0..count).map(need).collect() }
    }

    #[test]
    fn each_part_fits_an_order_and_together_they_say_all() {
        let issuer = Issuer { service: ServiceName::NodeManager, epoch: Epoch(u64::MAX) };
        let written = |needs: Needs| serde_json::to_vec(&NeedsAre { issuer, needs, adds: true });
        for (count, parts) in [(0, 1), (1, 1), (9_000, 1), (20_000, 3)] {
            let needs = needs(count);
            let pages = pages(&needs);
            assert_eq!(pages.len(), parts, "{count}");
            let said: Vec<Need> = pages.iter().flat_map(|page| page.bundles.clone()).collect();
            assert_eq!(said, needs.bundles);
            for page in pages {
                assert_eq!(page.at, needs.at);
                assert!(written(page).unwrap().len() <= ORDER_BYTES);
            }
        }
    }
}
