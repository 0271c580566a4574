//! A bot: answers at once and talks until it is hung up.

use segue_sip::{IncomingCall, Leg, LegEvent, Referral};

use super::{World, way};
use crate::{hearing::Heard, options::Scenario, plane::LegNews, words::Role};

/// Asks the target to hand the call to a human.
async fn refer(leg: &Leg) {
    let to = format!("sip:human@{}", leg.signalling());
    leg.control().refer(Referral { to, ..Referral::default() }).await;
}

/// Takes one call.
pub(super) async fn take(world: &World, call: IncomingCall) {
    let Some(mut media) = world.open(Role::Bot) else {
        world.scores().surprise("no leg was free for a bot");
        return;
    };
    let mut leg = match super::pick_up(world, (Role::Bot, media.address), call).await {
        Ok(leg) => leg,
        Err(error) => {
            world.scores().surprise(format!("bot: {error}"));
            world.forget(media.stream);
            return;
        }
    };
    world.scores().bot_calls += 1;
    let silent = world.play.scenario == Scenario::Setup;
    let agreed = leg.remote().filter(|_| !silent).and_then(|remote| way(remote, leg.local()));
    let mut news = agreed.map(|way| media.start(way));
    loop {
        let asked = world.asked.notified();
        if world.is_to_refer(media.stream) {
            refer(&leg).await;
        }
        tokio::select! {
            () = asked => {}
            event = leg.next() => match event {
                LegEvent::Ended(_) => break,
                LegEvent::MediaChanged { remote, local } => {
                    if let Some(way) = way(&remote, &local) {
                        media.turn(way);
                    }
                }
                LegEvent::HandoffRequested { .. } => world.scores().surprise("REFER at a bot"),
                LegEvent::Key(_)
                | LegEvent::OfferRefused { .. }
                | LegEvent::Transferred { .. }
                | LegEvent::ReferProgress { .. } => {}
            },
            told = async {
                match &mut news {
                    Some(inbox) => inbox.recv().await,
                    None => std::future::pending().await,
                }
            } => match told {
                Some(LegNews::Heard(Heard::Stream(other), since)) => world.hears(media.stream, other, since),
                Some(LegNews::Heard(Heard::Sound, _) | LegNews::Pressed(_) | LegNews::Over { .. }) => {}
                None => news = None,
            },
        }
    }
    world.forget(media.stream);
}
