//! The kill matrix.

use sim::matrix::cells;

#[test]
fn whoever_ends_at_whatever_step_everything_is_done_once() {
    let cells = cells();
    assert_eq!(cells.len(), 31 * 2 * 6);
    for cell in cells {
        let report = cell.run(false);
        assert_eq!(report.violations, [], "{cell:?}");
        assert_eq!(report.traps_left, 0, "{cell:?} was never reached");
    }
}
