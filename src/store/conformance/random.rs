//! Random sequences of calls against a model, and many threads at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastrand::Rng;

use super::*;
use crate::model::Step;
use crate::outbox::lane;

const LANES: [&str; 4] = ["", "a", "b", "c"];

/// What the model knows of a push.
#[derive(Debug, Clone)]
struct Known {
    connector: ConnectorId,
    lane: Option<String>,
    state: PushState,
    begun: bool,
    /// A step of it is done.
    half_done: bool,
}

impl Known {
    fn is_open(&self) -> bool {
        !self.state.is_final()
    }

    fn is_willing(&self) -> bool {
        matches!(self.state, PushState::Queued | PushState::Waiting)
    }

    fn leads(&self) -> bool {
        self.state == PushState::Held || (self.half_done && self.is_willing())
    }
}

type Model = BTreeMap<PushId, Known>;

fn lane_of<'a>(model: &'a Model, of: &'a Known) -> impl Iterator<Item = (&'a PushId, &'a Known)> {
    model
        .iter()
        .filter(|(_, p)| p.lane == of.lane && p.connector == of.connector && p.is_open())
}

fn is_ready(model: &Model, id: PushId) -> bool {
    let push = &model[&id];
    if push.lane.is_none() || !push.is_willing() {
        return push.is_willing();
    }
    let leader = lane_of(model, push).filter(|(_, p)| p.leads()).last();
    let first = leader.or_else(|| lane_of(model, push).next());
    first.map(|(first, _)| *first) == Some(id)
        && lane_of(model, push).all(|(_, p)| p.state != PushState::Sending)
}

fn check(store: &dyn Store, model: &Model, connector: ConnectorId, now: Timestamp) {
    let mut claimed = claimable(store, connector, now);
    claimed.sort_unstable();
    let ready: Vec<PushId> = model
        .iter()
        .filter(|(id, push)| push.connector == connector && is_ready(model, **id))
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(claimed, ready);
    let counts = store.counts().unwrap();
    let counted = counts.iter().find(|c| c.connector == connector).unwrap();
    assert_eq!(counted.ready, !ready.is_empty());
    for (place, state) in PushState::ALL.iter().enumerate() {
        let real = model
            .values()
            .filter(|p| p.connector == connector && p.state == *state);
        assert_eq!(counted.by_state[place], real.count() as u64, "{state}");
    }
}

/// Per lane exactly one push is ready unless one is being sent or held ahead; counters are true; order holds.
pub(crate) fn keeps_its_promises_at_random(store: &dyn Store) {
    let connectors = [connector(store, "a").id, connector(store, "b").id];
    let mut rng = Rng::with_seed(0x5eed_ca5e);
    let mut model = Model::new();
    for step in 0..1_500 {
        let now = at(step);
        let connector = connectors[rng.usize(..2)];
        let pick = rng.choice(model.keys().copied().collect::<Vec<_>>());
        match rng.u8(..10) {
            0..3 => accept(store, &mut model, connector, &mut rng, now),
            3..7 => deliver(store, &mut model, connector, &mut rng, now),
            7 => {
                if let Some(id) = pick.filter(|id| model[id].state != PushState::Sending) {
                    let to = [PushState::Queued, PushState::Cancelled, PushState::Delivered][rng.usize(..3)];
                    let retry = matches!(model[&id].state, PushState::Failed | PushState::Held);
                    if model[&id].is_open() || (retry && to == PushState::Queued) {
                        decide(store, id, to, now);
                        model.get_mut(&id).unwrap().state = to;
                    }
                }
            }
            8 => {
                if let Some(id) = pick.filter(|id| model[id].state == PushState::Failed) {
                    store.discard(id).unwrap();
                    model.remove(&id);
                }
            }
            _ => {
                let sending = model.iter().filter(|(_, p)| p.state == PushState::Sending);
                let ids: Vec<PushId> = sending.map(|(id, _)| *id).collect();
                assert_eq!(store.interrupted().unwrap(), ids);
                if let Some(id) = rng.choice(ids) {
                    finish(store, &mut model, id, &mut rng, now);
                }
            }
        }
        check(store, &model, connector, now);
    }
    let seen = |state| model.values().filter(|p| p.state == state).count();
    assert!(seen(PushState::Superseded) > 10 && seen(PushState::Delivered) > 10);
}

fn accept(store: &dyn Store, model: &mut Model, connector: ConnectorId, rng: &mut Rng, now: Timestamp) {
    let case = case(LANES[rng.usize(..LANES.len())]);
    let known = Known {
        connector,
        lane: lane(&case),
        state: PushState::Queued,
        begun: false,
        half_done: false,
    };
    let coalesce = rng.bool();
    let absorbed: Vec<PushId> = lane_of(model, &known)
        .map(|(id, push)| (*id, push.is_willing() && !push.begun))
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .take_while(|(_, fresh)| *fresh && coalesce && known.lane.is_some())
        .map(|(id, _)| id)
        .collect();
    let id = push(store, connector, case, coalesce, now);
    for old in absorbed {
        model.get_mut(&old).unwrap().state = PushState::Superseded;
        let status = store.status(old).unwrap().unwrap();
        assert_eq!(status.superseded_by, Some(id));
    }
    assert!(model.keys().next_back().is_none_or(|last| *last < id));
    model.insert(id, known);
}

fn deliver(store: &dyn Store, model: &mut Model, connector: ConnectorId, rng: &mut Rng, now: Timestamp) {
    let Some(claim) = store.claim(connector, now, &[]).unwrap() else {
        return;
    };
    let id = claim.push.id;
    assert!(store.begin(id, &claim.push.progress, now).unwrap());
    let known = model.get_mut(&id).unwrap();
    (known.state, known.begun) = (PushState::Sending, true);
    if rng.u8(..4) > 0 {
        finish(store, model, id, rng, now);
    }
}

fn finish(store: &dyn Store, model: &mut Model, id: PushId, rng: &mut Rng, now: Timestamp) {
    let to = [
        PushState::Sending,
        PushState::Waiting,
        PushState::Delivered,
        PushState::Delivered,
        PushState::Failed,
        PushState::Held,
    ][rng.usize(..6)];
    let claim = store.load(id).unwrap().unwrap();
    let mut outcome = outcome(in_state(&claim, to));
    // As after a failure to connect: nothing of it can have reached the target.
    outcome.progress.begun = to != PushState::Waiting || rng.bool();
    let half_done = rng.u8(..3) == 0 && outcome.progress.begun;
    outcome.progress.step = Some(if half_done { Step::Get } else { Step::Update });
    let known = model.get_mut(&id).unwrap();
    (known.begun, known.half_done) = (outcome.progress.begun, half_done);
    store.record(id, &outcome, now).unwrap();
    model.get_mut(&id).unwrap().state = to;
}

/// Threads accept, deliver and read at once; every push is delivered once and in the order of its lane.
pub(crate) fn works_from_many_threads(store: &dyn Store) {
    const EACH: usize = 60;
    let a = connector(store, "a").id;
    let delivered = AtomicUsize::new(0);
    let order = std::sync::Mutex::new(BTreeMap::<Option<String>, Vec<PushId>>::new());
    std::thread::scope(|scope| {
        for thread in 0..3 {
            scope.spawn(move || {
                for n in 0..EACH {
                    push(store, a, case(LANES[(thread + n) % 4]), false, at(0));
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                while delivered.load(Ordering::SeqCst) < 3 * EACH {
                    store.counts().unwrap();
                    let Some(claim) = store.claim(a, at(9), &[]).unwrap() else {
                        std::thread::yield_now();
                        continue;
                    };
                    let id = claim.push.id;
                    // `begin` tells two claimers of one push apart only by what is stored: take turns here.
                    let mut order = order.lock().unwrap();
                    let state = store.status(id).unwrap().unwrap().state;
                    if state != PushState::Queued || !store.begin(id, &claim.push.progress, at(9)).unwrap() {
                        continue;
                    }
                    order.entry(claim.push.case.id.clone()).or_default().push(id);
                    drop(order);
                    let done = outcome(in_state(&claim, PushState::Delivered));
                    store.record(id, &done, at(9)).unwrap();
                    delivered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(store.counts().unwrap()[0].by_state[4], 3 * EACH as u64);
    let order = order.into_inner().unwrap();
    for (lane, ids) in order.iter().filter(|(lane, _)| lane.is_some()) {
        assert!(ids.is_sorted(), "{lane:?}: {ids:?}");
    }
}
