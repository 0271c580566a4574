//! Automatic call distribution: who takes which call, in which order, and how long it will be.
//!
//! Pure: a request and `now` go in, notices come out. No clock, no I/O.

mod words;

pub use words::{
    Activity, AgentId, Language, Notice, Presence, QueueId, Refusal, ReservationId, Skill, Ticket, TicketId,
    Unqueued, WaitEstimate,
};
