//! The whole crate over real sockets on the loopback: against itself, and against sipp.

#[cfg(test)]
mod baresip;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod common;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod names;
#[cfg(test)]
mod secure;
#[cfg(test)]
mod sipp;
#[cfg(test)]
mod torture;
