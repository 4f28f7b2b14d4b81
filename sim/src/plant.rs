//! Planted bugs: what a platform would do wrong whose ports, or whose settings, were built carelessly.
//! They exist in this crate only, behind the value of one run.

use std::fmt;

macro_rules! plants {
    ($($(#[$meta:meta])* $plant:ident: $text:literal,)*) => {
        /// A planted bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Plant {
            $($(#[$meta])* $plant,)*
        }

        impl Plant {
            pub const ALL: &'static [Plant] = &[$(Plant::$plant,)*];

            /// What is wrong, in one clause.
            pub fn sentence(self) -> &'static str {
                match self { $(Plant::$plant => $text,)* }
            }
        }
    };
}

plants! {
    StoreIgnoresVersions: "a write over another version is taken",
    StoreIgnoresChecks: "the check of the epoch is left out of transactions",
    StoreMakesTwice: "a record that is there is made again",
    StoreTearsTransactions: "a transaction is done in two halves",
    StoreForgetsWrites: "some transactions are acknowledged and not done",
    StoreForgetsOperations: "who was accepted is not remembered",
    StoreForgetsRegistry: "the registry is not written",
    StoreForgetsLeases: "the lease of a host port is not written",
    StoreForgetsOwed: "what a deployment owes is not kept",
    StoreHidesChildren: "a listing leaves out its last record now and then",
    PortsAreEphemeral: "leases go with the session of who wrote them",
    EpochStaysTheSame: "a new leader takes the epoch of the old one",
    GenerationGoesBack: "a deployment's generation starts again",
    RunsTooEarly: "a deployment is said to run before it does",
    BusCommitsFirst: "a position is committed before the effect",
    BusLosesRecords: "some publications are acknowledged and lost",
    BusSwapsRecords: "messages of one key overtake each other",
    BusAgesRecords: "records look older than the platform remembers",
    NodesTakeStaleEpochs: "an agent obeys a leader that was replaced",
    NodesRemoveNothing: "an agent says that a container is gone, and it runs",
    NodesHideOrphans: "a listing shows only what was made last",
    ProbesLie: "a look at a container finds it healthy, whatever it is",
    DeadNodesSpeak: "samples of a dead node keep coming",
    EdgeTakesStaleTables: "the edge obeys a leader that was replaced",
    EdgeServesNothingNew: "the edge acknowledges tables that it does not serve",
    EdgeDropsRows: "the edge loses the last row of a table",
    EdgeSwapsUpstreams: "the edge mixes up the replicas of two instances",
    RoutesLie: "a route is said to be served before it is",
    RoutesNeverGo: "a route is said to be gone, and is served",
    EdgeMissesPorts: "the edge asks at the port beside the replica's",
    NoQuarantine: "a released port is given out at once",
    NobodyDies: "a silent node is taken for a living one",
    DoorAnswersFirst: "a request is answered before it is recorded",
}

impl fmt::Display for Plant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
