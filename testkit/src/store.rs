//! [`MemoryStore`]: the store's contract in memory, with everything that may go wrong on demand.
//!
//! Handles from [`MemoryStore::session`] share one tree, each with a session of its own. Every call
//! yields once, so that concurrent callers interleave between reading and writing.

mod hints;
mod journal;
mod tree;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use common::port::Store;
use common::port::store::{Change, Done, Entry, Error, Op, Path, check_limits};
use futures::stream::BoxStream;

use self::hints::Hints;
pub use self::journal::Committed;
use self::tree::{SessionId, Touched, Tree};

/// What happens to a commit instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done, and the caller is told so.
    Unavailable,
    /// Nothing is done, and the caller cannot know.
    RequestLost,
    /// It is done, and the caller cannot know.
    AnswerLost,
    /// Nothing is done, and the caller waits for ever: a crash just before the commit.
    RequestStuck,
    /// It is done, and the caller waits for ever: a crash just after the commit.
    AnswerStuck,
}

/// One client of a store in memory. Clones share its session; the session ends with the last clone.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    session: Arc<Session>,
}

#[derive(Debug)]
struct Session {
    id: SessionId,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tree: Tree,
    sessions: BTreeMap<SessionId, Client>,
    next_session: u64,
    outage: bool,
    /// What was committed since somebody took it, where somebody wants to know.
    journal: Option<Vec<Committed>>,
    /// Whether calls end without letting others in.
    prompt: bool,
}

#[derive(Debug, Default)]
struct Client {
    /// What this client's reads show, where it is not the present.
    frozen: Option<Tree>,
    /// What becomes of the commits to come; `None` is an ordinary one.
    faults: VecDeque<Option<Fault>>,
    watches: Vec<(Path, Weak<Hints>)>,
}

type Offered = (Option<Fault>, Option<Result<Vec<Done>, Error>>);

impl Default for MemoryStore {
    fn default() -> Self {
        MemoryStore::new()
    }
}

impl MemoryStore {
    /// An empty tree and a first client of it.
    pub fn new() -> Self {
        MemoryStore::open(&Arc::default())
    }

    /// Another client of the same tree.
    #[must_use]
    pub fn session(&self) -> Self {
        MemoryStore::open(&self.session.shared)
    }

    fn open(shared: &Arc<Shared>) -> Self {
        let mut state = shared.lock();
        state.next_session += 1;
        let id = SessionId(state.next_session);
        state.sessions.insert(id, Client::default());
        drop(state);
        MemoryStore { session: Arc::new(Session { id, shared: Arc::clone(shared) }) }
    }

    /// Ends this client's session and begins another: its ephemeral records go, its watches say
    /// [`Change::Resync`].
    pub fn expire(&self) {
        let mut state = self.lock();
        state.end_ephemerals(self.session.id);
        state.resync(self.session.id);
    }

    /// As after a lost connection: this client's watches say [`Change::Resync`].
    pub fn reconnect(&self) {
        self.lock().resync(self.session.id);
    }

    /// From now on this client's reads show the present state, until its next
    /// [`sync`](Store::sync) or commit; then they show the state of that moment, and so on.
    pub fn freeze_reads(&self) {
        let mut state = self.lock();
        let present = state.tree.clone();
        state.client(self.session.id).frozen = Some(present);
    }

    /// This client's reads show the present again.
    pub fn thaw_reads(&self) {
        self.lock().client(self.session.id).frozen = None;
    }

    /// The next commit of this client fails so.
    pub fn fail_commit(&self, fault: Fault) {
        self.fail_commit_after(0, fault);
    }

    /// After `passing` ordinary commits of this client, one fails so.
    pub fn fail_commit_after(&self, passing: usize, fault: Fault) {
        let mut state = self.lock();
        let faults = &mut state.client(self.session.id).faults;
        faults.extend(std::iter::repeat_n(None, passing));
        faults.push_back(Some(fault));
    }

    /// How many commits of this client are still to fail.
    pub fn faults_left(&self) -> usize {
        let mut state = self.lock();
        state.client(self.session.id).faults.iter().flatten().count()
    }

    /// From now on calls end without letting others in: for who decides by himself who is next.
    pub fn be_prompt(&self) {
        self.lock().prompt = true;
    }

    async fn let_others_in(&self) {
        let prompt = self.lock().prompt;
        if !prompt {
            tokio::task::yield_now().await;
        }
    }

    /// Every call of every client fails from now on.
    pub fn go_down(&self) {
        self.lock().outage = true;
    }

    /// Ends [`go_down`](Self::go_down); every watch says [`Change::Resync`].
    pub fn come_back(&self) {
        let mut state = self.lock();
        state.outage = false;
        let sessions: Vec<SessionId> = state.sessions.keys().copied().collect();
        for session in sessions {
            state.resync(session);
        }
    }

    /// Writes a record whatever is there, as a test's background.
    pub fn seed(&self, path: &Path, value: Bytes) {
        let mut state = self.lock();
        let precondition = state.tree.precondition(path);
        let op = Op::Put { path: path.clone(), value, precondition };
        let (_, touched) = state
            .tree
            .apply(&[op], self.session.id)
            .expect("the precondition was read under the same lock");
        state.note(&touched, self.session.id);
    }

    /// All records at and below a path as they are now, with their values.
    pub fn records(&self, below: &Path) -> Vec<(Path, Bytes)> {
        self.lock().tree.below(below)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.session.shared.lock()
    }

    async fn read<T>(&self, look: impl FnOnce(&Tree) -> T + Send) -> Result<T, Error> {
        self.let_others_in().await;
        let mut state = self.lock();
        state.demand_service()?;
        let frozen = state.client(self.session.id).frozen.take();
        let seen = look(frozen.as_ref().unwrap_or(&state.tree));
        state.client(self.session.id).frozen = frozen;
        Ok(seen)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, path: &Path) -> Result<Option<Entry>, Error> {
        self.read(|tree| tree.get(path)).await
    }

    async fn children(&self, path: &Path) -> Result<Vec<String>, Error> {
        self.read(|tree| tree.children(path)).await
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        self.let_others_in().await;
        check_limits(&ops)?;
        let (fault, done) = self.lock().offer(&ops, self.session.id)?;
        match (fault, done) {
            (None, Some(done)) => done,
            (Some(Fault::Unavailable), _) => Err(Error::Unavailable("injected".into())),
            (Some(Fault::RequestStuck | Fault::AnswerStuck), _) => std::future::pending().await,
            // Even a refusal is lost on the way back.
            (Some(Fault::RequestLost | Fault::AnswerLost) | None, _) => {
                Err(Error::OutcomeUnknown("injected".into()))
            }
        }
    }

    async fn sync(&self) -> Result<(), Error> {
        self.let_others_in().await;
        let mut state = self.lock();
        state.demand_service()?;
        state.catch_up(self.session.id);
        Ok(())
    }

    async fn watch(&self, path: &Path) -> Result<BoxStream<'static, Change>, Error> {
        self.let_others_in().await;
        let mut state = self.lock();
        state.demand_service()?;
        let hints = Arc::new(Hints::default());
        let watches = &mut state.client(self.session.id).watches;
        watches.retain(|(_, hints)| hints.strong_count() > 0);
        watches.push((path.clone(), Arc::downgrade(&hints)));
        Ok(hints::stream(hints))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn demand_service(&self) -> Result<(), Error> {
        if self.outage { Err(Error::Unavailable("injected outage".into())) } else { Ok(()) }
    }

    fn client(&mut self, id: SessionId) -> &mut Client {
        self.sessions.entry(id).or_default()
    }

    /// What happens to a commit instead of an answer, and its result if it is done.
    fn offer(&mut self, ops: &[Op], id: SessionId) -> Result<Offered, Error> {
        self.demand_service()?;
        let fault = self.client(id).faults.pop_front().flatten();
        let done = match fault {
            None | Some(Fault::AnswerLost | Fault::AnswerStuck) => Some(self.commit(ops, id)),
            Some(Fault::Unavailable | Fault::RequestLost | Fault::RequestStuck) => None,
        };
        Ok((fault, done))
    }

    fn commit(&mut self, ops: &[Op], id: SessionId) -> Result<Vec<Done>, Error> {
        let result = self.tree.apply(ops, id);
        self.catch_up(id);
        let (done, touched) = result?;
        self.note(&touched, id);
        Ok(done)
    }

    fn catch_up(&mut self, id: SessionId) {
        if self.client(id).frozen.is_some() {
            let present = self.tree.clone();
            self.client(id).frozen = Some(present);
        }
    }

    fn end_ephemerals(&mut self, id: SessionId) {
        let removed = self.tree.remove_owned_by(id);
        self.note(&removed, id);
    }

    /// Something was committed: who watches is told, and it is written down.
    fn note(&mut self, touched: &[Touched], by: SessionId) {
        let watches = self.sessions.values().flat_map(|client| &client.watches);
        for (root, hints) in watches {
            let Some(hints) = hints.upgrade() else { continue };
            for (path, _) in touched.iter().filter(|(path, _)| path.is_within(root)) {
                hints.at(path.clone());
            }
        }
        if let Some(journal) = &mut self.journal {
            journal.extend(journal::entries(&self.tree, touched, by));
        }
    }

    fn resync(&mut self, id: SessionId) {
        for hints in self.client(id).watches.iter().filter_map(|(_, hints)| hints.upgrade()) {
            hints.resync();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.end_ephemerals(self.id);
        let Some(client) = state.sessions.remove(&self.id) else { return };
        for hints in client.watches.iter().filter_map(|(_, hints)| hints.upgrade()) {
            hints.close();
        }
    }
}

#[cfg(test)]
mod tests;
