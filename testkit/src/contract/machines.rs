//! What every [`Machines`] keeps: [`CLAUSES`] by a backend that makes machines, [`GIVEN`] by one that has them.

mod given;
mod making;
mod running;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::name::NodeName;
use common::port::host::{self, Access, Command, Credential, HostKey, PublicKey};
use common::port::machines::{Machine, MachineSpec, Power, Shape};
use common::port::{Host, Hosts, Machines};
use tokio::time::{sleep, timeout};

use super::Clause;
use super::clause::{all_hold, clauses};

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long a machine that runs may take until it lets anybody in.
const BOOT: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A backend that makes machines, and what the suite needs to know of it.
#[async_trait(?Send)]
pub trait World {
    fn machines(&self) -> &dyn Machines;

    fn hosts(&self) -> &dyn Hosts;

    /// What holds [`World::authorized_key`].
    fn credential(&self) -> Credential;

    fn authorized_key(&self) -> PublicKey;

    /// A small machine of this backend, with this address if one is wanted.
    fn shape(&self, address: Option<Ipv4Addr>) -> Shape;

    /// Another small machine of this backend.
    fn other_shape(&self) -> Shape;

    fn host_keys(&self) -> HostKeys {
        HostKeys::FromBackend
    }

    /// A name nobody else uses.
    fn fresh_name(&self) -> NodeName;

    /// Somebody else's machine, or what is one in this backend, has this name until the suite is over.
    async fn occupy_name(&self, name: &NodeName);

    /// Whether it is still there.
    async fn is_occupied(&self, name: &NodeName) -> bool;

    /// The machine loses its power, not by the platform.
    async fn power_off(&self, name: &NodeName);

    /// Tells one boot of a machine from the next.
    async fn boot(&self, name: &NodeName) -> String;
}

/// Who says which host key a machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeys {
    /// The backend does, without asking the machine.
    FromBackend,
    /// Only the machine itself does.
    FromMachine,
}

/// A backend whose machines somebody else made.
#[async_trait(?Send)]
pub trait GivenWorld {
    fn machines(&self) -> &dyn Machines;

    /// A machine that it has, and that runs.
    fn given(&self) -> NodeName;

    /// A machine that it has, and that does not answer.
    fn silent(&self) -> NodeName;

    fn authorized_key(&self) -> PublicKey;

    async fn boot(&self, name: &NodeName) -> String;
}

/// All clauses of a backend that makes machines. Each relies on those before it.
pub const CLAUSES: &[Clause<dyn World>] = clauses![
    making::needs_no_machine_to_say_that_there_is_none,
    making::gives_a_machine_that_runs_and_is_known,
    making::twice_gives_one_machine,
    making::side_by_side_gives_one_machine,
    making::lets_in_who_was_authorized,
    making::gives_each_its_own_key_and_address,
    making::refuses_another_specification_of_the_same_name,
    making::gives_the_wanted_address_to_one_only,
    making::leaves_alone_what_is_not_the_platforms,
    running::is_needed_of_a_machine_that_exists_only,
    running::ends_and_begins_as_asked,
    running::begins_when_it_is_made_again,
    running::begins_anew_when_restarted,
    running::begins_again_after_a_loss_of_power,
    making::is_undone_by_deleting,
];

/// All clauses of a backend that has what somebody else made.
pub const GIVEN: &[Clause<dyn GivenWorld>] = clauses![
    given::machines_are_listed_and_found,
    given::machines_that_do_not_answer_are_unknown,
    given::machines_cannot_be_made_or_removed,
    given::machines_cannot_be_switched,
    given::machines_begin_anew_when_restarted,
];

/// Fails unless the backend of `world` keeps the contract.
pub async fn holds(world: &(dyn World + 'static)) {
    all_hold(CLAUSES, world).await;
}

/// Fails unless the backend of `world` keeps the part of the contract that is about machines it was given.
pub async fn holds_for_given(world: &(dyn GivenWorld + 'static)) {
    all_hold(GIVEN, world).await;
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it happens in time")
}

fn spec(world: &dyn World) -> MachineSpec {
    let (name, authorized_key) = (world.fresh_name(), world.authorized_key());
    MachineSpec { name, authorized_key, shape: world.shape(None) }
}

async fn create(world: &dyn World, spec: &MachineSpec) -> Machine {
    let machine = within(world.machines().create(spec)).await.expect("the machine can be made");
    assert_eq!((&machine.name, machine.power), (&spec.name, Power::Running), "it runs");
    machine
}

async fn look(world: &dyn World, name: &NodeName) -> Option<Machine> {
    within(world.machines().look(name)).await.expect("the backend can be asked")
}

async fn delete(world: &dyn World, name: &NodeName) {
    within(world.machines().delete(name)).await.expect("the machine can be deleted");
}

async fn listed(world: &dyn World) -> Vec<NodeName> {
    let listed = within(world.machines().list()).await.expect("machines can be listed");
    assert!(listed.is_sorted_by_key(|machine| machine.name.clone()), "sorted by name");
    listed.into_iter().map(|machine| machine.name).collect()
}

/// The host key of a machine that runs, from who says it.
async fn host_key(world: &dyn World, machine: &Machine) -> HostKey {
    if world.host_keys() == HostKeys::FromBackend {
        return machine.host_key.clone().expect("its host key is known");
    }
    assert_eq!(machine.host_key, None, "nobody knows its host key but itself");
    let asking = async {
        loop {
            match world.hosts().host_key(&machine.entry).await {
                Ok(key) => return key,
                Err(err) => assert!(err.is_retryable(), "a machine shows its host key: {err:?}"),
            }
            sleep(LOOK_AGAIN).await;
        }
    };
    timeout(BOOT, asking).await.expect("a machine that runs shows its host key")
}

/// Signs in as soon as the machine lets anybody in.
async fn sign_in(world: &dyn World, machine: &Machine) -> Arc<dyn Host> {
    let access = Access {
        at: machine.entry.clone(),
        user: machine.user.clone(),
        credential: world.credential(),
        host_key: host_key(world, machine).await,
    };
    let trying = async {
        loop {
            match world.hosts().connect(&access).await {
                Ok(host) => return host,
                Err(err) => assert!(err.is_retryable(), "who was authorized is let in: {err:?}"),
            }
            sleep(LOOK_AGAIN).await;
        }
    };
    timeout(BOOT, trying).await.expect("a machine that runs lets in who was authorized")
}

async fn is_root(host: &dyn Host) -> Result<bool, host::Error> {
    let id = Command::new("id").args(["-u"]).by_root();
    Ok(within(host.run(&id)).await?.text() == "0")
}
