//! The kill matrix: at every step of a deploy and of a stop, before its effect and after it, each process
//! ends once.

use crate::fault::{Bait, Point, Trap, Victim};
use crate::run::{Kind, Plan, Report, Scenario, run};
use crate::services::SERVICES;
use crate::step::Step;

/// One cell.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    pub step: Step,
    pub point: Point,
    pub victim: Victim,
}

/// All cells: every step, both points, every process that exists.
pub fn cells() -> Vec<Cell> {
    let victims = SERVICES.map(Victim::Service).into_iter().chain([Victim::Nodes, Victim::Agents]);
    let mut cells = Vec::new();
    for victim in victims {
        for step in Step::ALL {
            for point in [Point::Before, Point::After] {
                cells.push(Cell { step, point, victim });
            }
        }
    }
    cells
}

impl Cell {
    /// Deploys and stops one app, and ends the victim at the step.
    pub fn run(self, story: bool) -> Report {
        let trap = Trap {
            caller: None,
            bait: Bait::Step(self.step),
            left: 0,
            point: self.point,
            victim: self.victim,
        };
        let faults = Scenario { traps: vec![trap], replicas: 2, ..Scenario::default() };
        let kind = Kind::Single { faults: Box::new(faults) };
        run(&Plan { seed: 1, kind, plant: None, story })
    }
}
