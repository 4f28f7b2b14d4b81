//! What an instance does for its own edge while another one leads: it reads the records, and tells its edge what they say
//! under the epoch of who leads. It decides nothing and writes no record.

use std::future::pending;
use std::sync::Arc;

use chassis::lifecycle::{Condition, Lifecycle};
use chassis::reconcile::{Driver, Settings};

use crate::reconcile::certificates::CertificateReconciler;
use crate::reconcile::table::TableReconciler;
use crate::shared::Shared;

/// Follows until this instance leads, then waits for ever. Where there is no other edge nobody follows.
pub(crate) async fn follow(
    shared: &Arc<Shared>,
    edge: &Condition,
    settings: Settings,
    lifecycle: &Lifecycle,
) {
    if shared.pair.is_some() {
        let _telling = shared.telling.lock().await;
        let ports = &shared.ports;
        let tables = TableReconciler::new(Arc::clone(shared), Arc::clone(&ports.edge), edge);
        let certificates =
            CertificateReconciler::new(Arc::clone(shared), Arc::clone(&ports.certificates));
        let table_driver = Driver::new("following table", settings, shared.table_wake.clone());
        let certificate_driver =
            Driver::new("following certificates", settings, shared.certificate_wake.clone());
        let following = async {
            futures::join!(
                table_driver.run(&tables, lifecycle),
                certificate_driver.run(&certificates, lifecycle),
            );
        };
        tokio::select! {
            biased;
            () = shared.leads.cancelled() => {}
            () = following => {}
        }
    }
    pending::<()>().await;
}
