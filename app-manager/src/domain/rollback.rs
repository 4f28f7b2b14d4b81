//! To which release an instance goes back.

use common::id::ReleaseNumber;
use common::record::kept::Kept;

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The release that was named was not in service here, or too many were since.
    NotKept,
    /// None was named, and nothing older is good.
    Nothing,
}

/// The release to go back to from the one that is `wanted`: the one that is `named`, else of those that are older the
/// one that was in service last and was never itself gone back from. `kept` is in the order of service.
pub(crate) fn target(
    kept: &[Kept],
    wanted: ReleaseNumber,
    named: Option<ReleaseNumber>,
) -> Result<ReleaseNumber, Refusal> {
    let numbers = || kept.iter().rev().map(|kept| kept.number);
    match named {
        Some(named) => numbers().find(|number| *number == named).ok_or(Refusal::NotKept),
        None => {
            let good = |kept: &&Kept| kept.number < wanted && kept.rolled_back_at.is_none();
            kept.iter().rev().find(good).map(|kept| kept.number).ok_or(Refusal::Nothing)
        }
    }
}

#[cfg(test)]
mod tests {
    use common::digest::{Digest, ImageRef};
    use common::id::{Generation, RequestId};
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    /// In the order of service; a negative number was gone back from.
    fn kept(numbers: &[i32]) -> Vec<Kept> {
        let one = |number: &i32| Kept {
            number: ReleaseNumber(number.unsigned_abs()),
            image: ImageRef::new("registry.example.org/shop", Digest::of(b"shop")).unwrap(),
            bundle: None,
            generation: Generation(1),
            request: RequestId(Uuid::nil()),
            by: None,
            since: Timestamp::UNIX_EPOCH,
            rolled_back_at: (*number < 0).then_some(Timestamp::UNIX_EPOCH),
        };
        numbers.iter().map(one).collect()
    }

    fn from(wanted: u32, numbers: &[i32]) -> Result<u32, Refusal> {
        target(&kept(numbers), ReleaseNumber(wanted), None).map(|number| number.0)
    }

    #[test]
    fn it_goes_to_what_was_in_service_before() {
        assert_eq!(from(2, &[1, 2]), Ok(1));
        // The one on the way, or failed, was never in service.
        assert_eq!(from(3, &[1, 2]), Ok(2));
        // Release 2 was bad: what follows release 3 is not 2 again.
        assert_eq!(from(3, &[-2, 1, 3]), Ok(1));
    }

    #[test]
    fn going_back_twice_never_goes_forward() {
        assert_eq!(from(1, &[-2, 1]), Err(Refusal::Nothing));
        assert_eq!(from(1, &[2, -3, 1]), Err(Refusal::Nothing));
        assert_eq!(from(2, &[1, -3, 2]), Ok(1));
        assert_eq!(from(1, &[1]), Err(Refusal::Nothing));
        assert_eq!(from(1, &[]), Err(Refusal::Nothing));
    }

    #[test]
    fn any_kept_release_can_be_named() {
        let to = |named| target(&kept(&[-2, 1]), ReleaseNumber(1), Some(ReleaseNumber(named)));
        assert_eq!(to(2), Ok(ReleaseNumber(2)));
        assert_eq!(to(1), Ok(ReleaseNumber(1)));
        assert_eq!(to(3), Err(Refusal::NotKept));
    }
}
