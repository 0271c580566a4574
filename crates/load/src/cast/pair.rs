//! Two sides without signalling, for a bare relay: each hears the other, packet by packet.

use super::{Up, World};
use crate::{
    clock::{Nanos, nanos, sleep_until},
    hearing::Heard,
    plane::{LegNews, MediaLeg, Way},
    relay,
    words::Role,
};

/// One pair, due at a moment.
pub(super) async fn talk(world: &World, number: u64, due: Nanos) -> Result<(), String> {
    let play = &world.play;
    let [codec, ..] = play.codecs;
    let Some(relay) = play.relay else { return Err("pairs need a relay".to_owned()) };
    // No wait lies between the two, so that their numbers follow each other: the relay pairs them by that.
    let (Some(mut first), Some(mut second)) = (world.open(Role::Caller), world.open(Role::Bot)) else {
        world.scores().not_begun += 1;
        return Err("no leg was free".to_owned());
    };
    let _up = Up::new(world);
    let place = u32::try_from(number % u64::from(relay.calls.max(1))).unwrap_or(0);
    let way = |side| {
        let port = relay::port(relay.address.port(), relay.design, place, side)?;
        let remote = std::net::SocketAddr::new(relay.address.ip(), port);
        Some(Way { remote, codec, payload_type: codec.payload_type(), keys: None, srtp: None })
    };
    let (Some(there), Some(back)) = (way(0), way(1)) else {
        return Err("the relay's ports end at 65535".to_owned());
    };
    let heard = {
        let mut ears = [first.start(there), second.start(back)];
        let until = due + nanos(play.hold);
        tokio::select! {
            () = sleep_until(until) => {}
            () = world.curtain.cancelled() => {}
        }
        for (leg, ear) in [&first, &second].into_iter().zip(&mut ears) {
            note(world, leg, ear, due);
        }
        let both = [&first, &second]
            .map(|leg| world.ear(leg.stream).and_then(|ear| ear.hears).map(|(other, _)| other));
        both == [Some(second.voice), Some(first.voice)]
    };
    let crossed = world.is_crossed(first.stream);
    world.scores().crossed += u64::from(crossed);
    for leg in [&mut first, &mut second] {
        leg.stop();
        world.forget(leg.stream);
    }
    if heard { Ok(()) } else { Err("the sides did not hear each other".to_owned()) }
}

/// Takes what an ear was told so far.
fn note(world: &World, leg: &MediaLeg, ear: &mut tokio::sync::mpsc::Receiver<LegNews>, due: Nanos) {
    while let Ok(news) = ear.try_recv() {
        if let LegNews::Heard(Heard::Stream(other), since) = news {
            world.hears(leg.stream, other, since);
            world.scores().first_sound.record(since.saturating_sub(due));
        }
    }
}
