//! A real phone that insists on Opus and SRTP and meets a bot that speaks G.711.

use segue_media::tone::goertzel;

use crate::support::{
    alone,
    baresip::{self, Baresip, Handset},
    endpoint::KEYS,
    installed,
    scene::{BOT_HERTZ, LOUD, Scene, hears, hum},
    sipp,
};

const CALLER_HERTZ: f64 = 1_300.0;
/// Seconds of voice that outlast a test: the end of a file ends baresip's call.
const VOICE: usize = 150;

/// In how many whole seconds a tone is as loud as it was sent, give and take what a codec does to it.
fn seconds_of(sound: &[i16], hertz: f64) -> usize {
    sound.chunks_exact(8_000).filter(|second| (goertzel(second, hertz) - LOUD).abs() < 6.0).count()
}

#[test]
fn a_phone_that_demands_srtp_and_speaks_opus_talks_to_a_bot_of_g711_and_its_keys_are_told() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM, baresip::PROGRAM]) {
        return;
    }
    let scene = Scene::set(120, "bot", 0, "[media.srtp]\nkeys_in_clear = true\n");
    let account =
        "<sip:ann@127.0.0.1>;regint=0;audio_codecs=opus/48000/2;ptime=20;mediaenc=srtp-mand".to_owned();
    let more = "module opus.so\nmodule srtp.so\n";
    let voice = hum(CALLER_HERTZ).repeat(VOICE);
    let mut caller = Baresip::start(scene.until, &Handset { account, more, voice: &voice });
    caller.dial(&format!("sip:help@{}", scene.gateway.sip));
    caller.tells(scene.until, "CALL_ESTABLISHED", 0);
    hears(&scene.bot, scene.until, CALLER_HERTZ);
    caller.press('5');
    scene.bot.ear.wait(scene.until, "the key at the bot", |heard| {
        let mut keys = heard.iter().filter(|packet| packet.payload_type == KEYS);
        keys.any(|packet| packet.payload.first() == Some(&5)).then_some(())
    });
    scene.bot.hears_more(scene.until, 100);
    caller.hang_up();
    scene.api().event(scene.until, "the end of the call", |event| event.kind == "segue.call.ended");
    let heard = seconds_of(&caller.heard(), BOT_HERTZ);
    assert!(heard >= 1, "the phone heard the bot in {heard} seconds");
    scene.strike();
}
