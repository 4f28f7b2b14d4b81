//! What an instance does for its own edge while another one leads: it reads the records, and tells its edge what they say
//! under the epoch of who leads. It decides nothing and writes no record.

use std::sync::Arc;

use chassis::lifecycle::{Condition, Lifecycle};
use chassis::reconcile::Settings;

use crate::reconcile::certificates::CertificateReconciler;
use crate::reconcile::drive;
use crate::reconcile::table::TableReconciler;
use crate::shared::Shared;

/// Follows until the process stops; dropped before this instance leads: an edge has one teller.
pub(crate) async fn follow(
    shared: &Arc<Shared>,
    edge: &Condition,
    settings: Settings,
    lifecycle: &Lifecycle,
) {
    let ports = &shared.ports;
    let tables = TableReconciler::new(Arc::clone(shared), Arc::clone(&ports.edge), edge);
    let certificates =
        CertificateReconciler::new(Arc::clone(shared), Arc::clone(&ports.certificates));
    let (table_wake, certificate_wake) = (&shared.table_wake, &shared.certificate_wake);
    futures::join!(
        drive("following table", settings, table_wake, tables, lifecycle),
        drive("following certificates", settings, certificate_wake, certificates, lifecycle),
    );
}
