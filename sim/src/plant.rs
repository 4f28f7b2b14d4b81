//! Planted bugs: what a platform would do wrong whose ports, or whose settings, were built carelessly.
//! They exist in this crate only, behind the value of one run.

use std::fmt;

use crate::checker::{Invariant, Violation};

macro_rules! plants {
    ($($plant:ident: $text:literal => [$($invariant:ident),+],)*) => {
        /// A planted bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Plant {
            $(#[doc = $text] $plant,)*
        }

        impl Plant {
            pub const ALL: &'static [Plant] = &[$(Plant::$plant,)*];

            /// What is wrong, in one clause.
            pub fn sentence(self) -> &'static str {
                match self { $(Plant::$plant => $text,)* }
            }

            /// What does not hold with it: one of these finds it.
            pub fn breaks(self) -> &'static [Invariant] {
                match self { $(Plant::$plant => &[$(Invariant::$invariant),+],)* }
            }
        }
    };
}

plants! {
    StoreIgnoresVersions: "a write over another version is taken" => [I1NoLostCommand, I2EffectOnce, I8Monotone, I9SingleWriter],
    StoreIgnoresChecks: "the check of the epoch is left out of transactions" => [I9SingleWriter],
    StoreMakesTwice: "a record that is there is made again" => [I1NoLostCommand, I3PortExclusive],
    StoreTearsTransactions: "a transaction is done in two halves" => [I1NoLostCommand, I2EffectOnce, I3PortExclusive, I5NoOrphan, I8Monotone],
    StoreForgetsWrites: "some transactions are acknowledged and not done" => [I1NoLostCommand, I5NoOrphan, I8Monotone, I10HonestStatus],
    StoreForgetsOperations: "who was accepted is not remembered" => [I1NoLostCommand],
    StoreForgetsRegistry: "the registry is not written" => [I5NoOrphan],
    StoreForgetsLeases: "the lease of a host port is not written" => [I3PortExclusive, I5NoOrphan],
    StoreForgetsOwed: "what a deployment owes is not kept" => [I1NoLostCommand],
    StoreHidesChildren: "a listing leaves out its last record now and then" => [I5NoOrphan, I6KeepServing],
    StoreRetriesBlindly: "a transaction whose answer was lost is done again over whatever stands there" => [I1NoLostCommand, I2EffectOnce, I3PortExclusive, I8Monotone, I9SingleWriter],
    RequestsKeptInMemory: "who starts again takes a repeat for a new request" => [I1NoLostCommand, I2EffectOnce],
    PortsAreEphemeral: "leases go with the session of who wrote them" => [I3PortExclusive],
    EpochStaysTheSame: "a new leader takes the epoch of the old one" => [I9SingleWriter],
    GenerationGoesBack: "a deployment's generation starts again" => [I8Monotone],
    StandbysSleep: "who stands by sees a candidate before it that is not there" => [I7Converge],
    RunsTooEarly: "a deployment is said to run before it does" => [I8Monotone, I10HonestStatus],
    ScaleKeepsCount: "a scale that is accepted writes the old count" => [I5NoOrphan],
    ScalesStay: "the wanted count of what was stopped is kept" => [I12Bounded],
    DeployTakesPrevious: "a deploy writes down the release before the newest" => [I5NoOrphan],
    WindowsNeverEnd: "a schedule forgets that its window is open" => [I1NoLostCommand],
    BusCommitsFirst: "a position is committed before the effect" => [I1NoLostCommand],
    BusLosesRecords: "some publications are acknowledged and lost" => [I1NoLostCommand],
    BusSwapsRecords: "messages of one key overtake each other" => [I1NoLostCommand, I5NoOrphan, I10HonestStatus],
    BusAgesRecords: "records look older than the platform remembers" => [I1NoLostCommand],
    PoisonStalls: "a record that cannot be read keeps its reader busy" => [I11BlastRadius],
    NodesTakeStaleEpochs: "an agent obeys a leader that was replaced" => [I9SingleWriter],
    NodesRemoveNothing: "an agent says that a container is gone, and it runs" => [I3PortExclusive, I4NoMisroute, I5NoOrphan],
    NodesRemoveMore: "an agent's remove takes another container along that is served" => [I6KeepServing],
    NodesHideOrphans: "a listing shows only what was made last" => [I5NoOrphan],
    NodesAdoptByName: "an agent takes what has the name of a container for that container" => [I5NoOrphan, I10HonestStatus],
    ProbesLie: "a look at a container finds it healthy, whatever it is" => [I5NoOrphan, I6KeepServing, I10HonestStatus],
    DeadNodesSpeak: "samples of a dead node keep coming" => [I5NoOrphan, I10HonestStatus],
    EdgeTakesStaleTables: "the edge obeys a leader that was replaced" => [I9SingleWriter],
    EdgeServesNothingNew: "the edge acknowledges tables that it does not serve" => [I5NoOrphan, I6KeepServing, I10HonestStatus],
    EdgeDropsRows: "the edge loses the last row of a table" => [I5NoOrphan, I6KeepServing, I10HonestStatus],
    EdgeSwapsUpstreams: "the edge mixes up the replicas of two instances" => [I4NoMisroute],
    EdgeMissesPorts: "the edge asks at the port beside the replica's" => [I6KeepServing, I10HonestStatus],
    RoutesLie: "a route is said to be served before it is" => [I10HonestStatus],
    RoutesNeverGo: "a route is said to be gone, and is served" => [I4NoMisroute, I5NoOrphan, I6KeepServing],
    NoQuarantine: "a released port is given out at once" => [I3PortExclusive],
    NobodyDies: "a silent node is taken for a living one" => [I5NoOrphan],
    EdgeIgnoresWeights: "each replica gets as many requests as any other" => [I2EffectOnce],
    ErrorsUnseen: "the errors of a release are not counted" => [I6KeepServing],
    CanariesStay: "a canary that is taken away goes on" => [I2EffectOnce, I5NoOrphan],
    MovesStopFirst: "a replica that moves is stopped before there is another one" => [I6KeepServing],
    NonsenseIsLoad: "a measurement loses its sign on its way" => [I10HonestStatus],
    MemoryIsProcessor: "the processor and the memory of a sample change places" => [I10HonestStatus],
    SilenceIsConsent: "the load balancer takes a silent replica to be as those are that are heard of" => [I10HonestStatus],
    BackOutsSayNothing: "a release is gone back from, and the record does not say why" => [I10HonestStatus],
    EndsAreInvented: "an agent says of what runs that it has just begun again" => [I10HonestStatus],
    FrontPortsChange: "an instance gets another front port now and then" => [I3PortExclusive],
    DoorAnswersFirst: "a request is answered before it is recorded" => [I1NoLostCommand],
    PartsTakeStaleEpochs: "an agent obeys a lifecycle manager that was replaced" => [I9SingleWriter],
    PartsRunTwice: "an agent starts a part anew and lets the old process run" => [P2OncePerMachine],
    PartsRemoveNothing: "an agent says that a part is gone, and it runs" => [P1Placed, P5AsWished],
    PartsHideRestarts: "a part looks as if it had not been restarted" => [P3RestartOnce],
    PartsTakeApps: "an agent that removes a part removes apps with it" => [P6AppsUntouched],
    MachinesCycleTwice: "a backend restarts a machine again that it has restarted" => [P3RestartOnce],
    NoBrake: "the lifecycle manager believes that everything is dead" => [P4BrakeHolds],
}

impl Plant {
    /// Whether it is of a fleet: a storm of apps does not meet it.
    pub fn is_of_a_fleet(self) -> bool {
        self >= Plant::PartsTakeStaleEpochs
    }

    /// Whether a violation is one that this bug brings about.
    pub fn is_found_by(self, violation: &Violation) -> bool {
        self.breaks().contains(&violation.invariant)
    }
}

impl fmt::Display for Plant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
