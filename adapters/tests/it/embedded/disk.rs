//! A disk in memory that loses power, and fills up.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use adapters::embedded::Medium;
use redb::{Builder, Database, DatabaseError, StorageBackend};

use super::seed::Choices;

/// One file on the disk. Clones are the same file.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What a program sees.
    seen: Vec<u8>,
    /// What survives: the state at the last sync.
    synced: Vec<u8>,
    /// What happened since, in order.
    unsynced: Vec<Change>,
    /// How many calls are left until the power fails.
    power: Option<u64>,
    /// How large the file may become.
    room: Option<u64>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Resize(usize),
}

impl Change {
    /// What lies beyond the end is lost: the size is changed before anything is written there.
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Change::Resize(size) => file.resize(*size, 0),
            Change::Write { at, bytes } => {
                let place = file.iter_mut().skip(*at);
                place.zip(bytes).for_each(|(old, new)| *old = *new);
            }
        }
    }
}

impl Disk {
    /// A disk with what survived the failure of another one: any of the writes since the last sync,
    /// each of them perhaps in part, and the first few of the changes of size.
    pub(super) fn after_failure(&self, choices: &mut Choices) -> Self {
        let state = self.lock();
        let mut survived = state.synced.clone();
        let kept = choices.below(4);
        let is_resize = |change: &&Change| matches!(change, Change::Resize(_));
        let resizes = state.unsynced.iter().filter(is_resize).count();
        let mut resizes_left = choices.index(resizes + 1);
        for change in &state.unsynced {
            match change {
                Change::Resize(_) if resizes_left > 0 => {
                    change.apply(&mut survived);
                    resizes_left -= 1;
                }
                Change::Write { at, bytes } if choices.below(4) < kept => {
                    let (from, to) = match choices.below(3) {
                        0 => (choices.index(bytes.len() + 1), choices.index(bytes.len() + 1)),
                        _ => (0, bytes.len()),
                    };
                    let part = bytes.get(from..to).unwrap_or_default().to_vec();
                    Change::Write { at: at + from, bytes: part }.apply(&mut survived);
                }
                Change::Resize(_) | Change::Write { .. } => {}
            }
        }
        let state = State { seen: survived.clone(), synced: survived, ..State::default() };
        Disk { state: Arc::new(Mutex::new(state)) }
    }

    /// The power fails after so many calls.
    pub(super) fn fail_after(&self, calls: u64) {
        self.lock().power = Some(calls);
    }

    /// The file may not become larger than that.
    pub(super) fn bound(&self, room: Option<u64>) {
        self.lock().room = room;
    }

    pub(super) fn size(&self) -> u64 {
        u64::try_from(self.lock().seen.len()).unwrap()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn use_power(&mut self) -> io::Result<()> {
        match &mut self.power {
            Some(0) => Err(io::Error::other("there is no power")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn demand_room(&self, size: usize) -> io::Result<()> {
        let is_bounded = self.room.is_some_and(|room| u64::try_from(size).unwrap() > room);
        if is_bounded { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl Medium for Disk {
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        builder.create_with_backend(self.clone())
    }

    fn path(&self) -> &Path {
        Path::new("the disk of the test")
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.size())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.lock();
        if state.power == Some(0) {
            return Err(io::Error::other("there is no power"));
        }
        let offset = usize::try_from(offset).unwrap();
        let found = state.seen.get(offset..offset + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.lock();
        let size = usize::try_from(len).unwrap();
        state.use_power()?;
        if size > state.seen.len() {
            state.demand_room(size)?;
        }
        let change = Change::Resize(size);
        change.apply(&mut state.seen);
        state.unsynced.push(change);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.use_power()?;
        let State { synced, unsynced, .. } = &mut *state;
        unsynced.drain(..).for_each(|change| change.apply(synced));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        let change = Change::Write { at: usize::try_from(offset).unwrap(), bytes: data.to_vec() };
        // The write that the power fails in is done in part.
        let power = state.use_power();
        change.apply(&mut state.seen);
        state.unsynced.push(change);
        power
    }
}
