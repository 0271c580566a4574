//! Automatic call distribution: who takes which call, in which order, and how long it will be.
//!
//! Pure: a request and `now` go in, notices come out. No clock, no I/O.
//! [`Distributor`] owns agents, queues, tickets and reservations; [`priority`] scores tickets (R13).

mod agent;
mod config;
mod distributor;
mod estimate;
mod hours;
pub mod priority;
mod span;
mod view;
mod waiting;
mod words;

pub use config::{AcdConfig, AcdConfigError, AcdConfigProblem, AgentConfig, QueueConfig, Strategy};
pub use distributor::{Distributor, UnknownAgent};
pub use hours::{Hours, OpenSpan, TimeOfDay, Weekday};
pub use view::{AgentView, QueueView};
pub use words::{
    Activity, AgentId, Language, Notice, Presence, QueueId, Refusal, ReservationId, Skill, Ticket, TicketId,
    Unqueued, WaitEstimate,
};
