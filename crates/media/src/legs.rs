//! The legs of an engine, each in a place of its own, and who listens to whom.
//!
//! A packet finds its leg by one look-up and everything else by place. Wires are kept by name too: an ear may be
//! wired to a voice that does not exist yet, or no longer.

use std::collections::BTreeMap;

use crate::{
    command::{LegId, Source},
    ear::Ear,
    guard::Guard,
    places::Places,
    presses::Presses,
    quality::Assessor,
    rtcp::Control,
    voice::Voice,
};

/// A leg's place while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(u32);

/// One leg: what it says, what it hears, and its control packets.
pub(crate) struct Leg {
    pub(crate) id: LegId,
    pub(crate) voice: Voice,
    pub(crate) ear: Ear,
    pub(crate) control: Control,
    pub(crate) guard: Guard,
    pub(crate) tapped: bool,
    /// What the ear is sent is wanted outside.
    pub(crate) ear_tapped: bool,
    pub(crate) presses: Presses,
    pub(crate) assessor: Assessor,
    /// The voice that the ear is wired to, if it is open.
    hears: Option<Slot>,
    /// The ears that are wired to the voice.
    listeners: Vec<Slot>,
}

#[derive(Default)]
pub(crate) struct Legs {
    slots: Vec<Option<Box<Leg>>>,
    free: Vec<Slot>,
    places: Places<Slot>,
    /// Voices, open or not, and the open legs whose ears are wired to them.
    wires: BTreeMap<LegId, Vec<LegId>>,
}

impl Leg {
    pub(crate) fn new(id: LegId, voice: Voice, ear: Ear, control: Control, assessor: Assessor) -> Self {
        Self {
            id,
            voice,
            ear,
            control,
            guard: Guard::Plain,
            tapped: false,
            ear_tapped: false,
            presses: Presses::default(),
            assessor,
            hears: None,
            listeners: Vec::new(),
        }
    }
}

impl Legs {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn place(&self, leg: LegId) -> Option<Slot> {
        self.places.get(leg)
    }

    pub(crate) fn at(&self, slot: Slot) -> Option<&Leg> {
        self.slots.get(slot.0 as usize)?.as_deref()
    }

    pub(crate) fn at_mut(&mut self, slot: Slot) -> Option<&mut Leg> {
        self.slots.get_mut(slot.0 as usize)?.as_deref_mut()
    }

    pub(crate) fn named(&self, leg: LegId) -> Option<&Leg> {
        self.at(self.place(leg)?)
    }

    pub(crate) fn named_mut(&mut self, leg: LegId) -> Option<&mut Leg> {
        self.at_mut(self.place(leg)?)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Leg> {
        self.slots.iter_mut().filter_map(Option::as_deref_mut)
    }

    /// The places there are; some may be empty.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.slots.len() as u32).map(Slot)
    }

    /// The leg in that place, and the voice that its ear is wired to if that is another leg's.
    pub(crate) fn with_voice(&mut self, slot: Slot) -> Option<(&mut Leg, Option<&Voice>)> {
        let hears = self.at(slot)?.hears;
        let place = slot.0 as usize;
        let Some(voice) = hears.map(|voice| voice.0 as usize).filter(|voice| *voice != place) else {
            return self.at_mut(slot).map(|leg| (leg, None));
        };
        let [leg, voice] = self.slots.get_disjoint_mut([place, voice]).ok()?;
        Some((leg.as_deref_mut()?, voice.as_deref().map(|leg| &leg.voice)))
    }

    /// The ear of that number that is wired to a voice.
    pub(crate) fn listener(&self, voice: Slot, number: usize) -> Option<Slot> {
        self.at(voice)?.listeners.get(number).copied()
    }

    /// Adds a leg whose name is not in use.
    pub(crate) fn open(&mut self, leg: Leg) {
        let id = leg.id;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot((self.slots.len() - 1) as u32)
        });
        if let Some(place) = self.slots.get_mut(slot.0 as usize) {
            *place = Some(Box::new(leg));
        }
        self.places.insert(id, slot);
        for listener in self.wires.get(&id).cloned().unwrap_or_default() {
            self.connect(listener, slot);
        }
    }

    pub(crate) fn close(&mut self, leg: LegId) {
        let Some(slot) = self.place(leg) else { return };
        self.disconnect(leg);
        self.places.remove(leg);
        let closed = self.slots.get_mut(slot.0 as usize).and_then(Option::take);
        for listener in closed.map(|leg| leg.listeners).unwrap_or_default() {
            if let Some(ear) = self.at_mut(listener) {
                ear.hears = None;
            }
        }
        self.free.push(slot);
    }

    /// Sets what an ear hears.
    pub(crate) fn wire(&mut self, leg: LegId, source: Source) {
        if self.place(leg).is_none() {
            return;
        }
        self.disconnect(leg);
        if let Some(open) = self.named_mut(leg) {
            open.ear.wire(source);
        }
        if let Source::Leg(voice) = source {
            self.wires.entry(voice).or_default().push(leg);
            if let Some(voice) = self.place(voice) {
                self.connect(leg, voice);
            }
        }
    }

    fn connect(&mut self, listener: LegId, voice: Slot) {
        let Some(ear) = self.place(listener) else { return };
        if let Some(leg) = self.at_mut(ear) {
            leg.hears = Some(voice);
        }
        if let Some(leg) = self.at_mut(voice) {
            leg.listeners.push(ear);
        }
    }

    fn disconnect(&mut self, listener: LegId) {
        let Some(ear) = self.place(listener) else { return };
        let Some(leg) = self.at_mut(ear) else { return };
        let (hears, source) = (leg.hears.take(), leg.ear.source());
        if let Some(voice) = hears.and_then(|voice| self.at_mut(voice)) {
            voice.listeners.retain(|listening| *listening != ear);
        }
        if let Source::Leg(voice) = source
            && let Some(ears) = self.wires.get_mut(&voice)
        {
            ears.retain(|wired| *wired != listener);
            if ears.is_empty() {
                self.wires.remove(&voice);
            }
        }
    }
}
