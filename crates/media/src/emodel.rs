//! The E-model of ITU-T G.107: how people would rate a connection, from what is known of it.
//!
//! `R = Ro − Is − Id − Ie,eff + A`, and MOS from R by the formula of Annex B. Noise, loudness, sidetone and echo
//! have the Recommendation's default values, because a packet path tells nothing of them; so an undisturbed
//! connection has R = 93.2 and MOS 4.41. What is measured goes in as delay, loss, burst ratio and the codec's
//! `Ie` and `Bpl`.

/// What is measured of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Connection {
    /// Absolute one-way delay from mouth to ear (Ta; T is the same, Tr is twice that), in milliseconds.
    pub(crate) delay_ms: f64,
    /// Packets lost or too late (Ppl), in percent.
    pub(crate) loss_percent: f64,
    /// Mean length of the bursts of loss, by that of random loss (BurstR): 1 is random, 2 twice as long.
    pub(crate) burst_ratio: f64,
    /// How the codec sounds and what loss does to it.
    pub(crate) equipment: Equipment,
}

/// A codec's impairment (G.113 Appendix I).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Equipment {
    /// Impairment without loss.
    pub(crate) ie: f64,
    /// Robustness against loss.
    pub(crate) bpl: f64,
}

impl Equipment {
    /// G.711 with concealment of lost packets: G.113 Appendix I.
    pub(crate) const G711: Self = Self { ie: 0.0, bpl: 25.1 };
}

// The defaults of G.107 Table 2. Loudness ratings, D-factors and echo losses are in dB, noises in dBm0p and dB(A).
const SLR: f64 = 8.0;
const RLR: f64 = 2.0;
const STMR: f64 = 15.0;
const DS: f64 = 3.0;
const DR: f64 = 3.0;
const TELR: f64 = 65.0;
const WEPL: f64 = 110.0;
const QDU: f64 = 1.0;
const NC: f64 = -70.0;
const NFOR: f64 = -64.0;
const PS: f64 = 35.0;
const PR: f64 = 35.0;
/// Expectation: no advantage of access (A), as of a wired telephone.
const ADVANTAGE: f64 = 0.0;

/// The rating R, 0 to 100 where the inputs are sane.
pub(crate) fn rating(connection: &Connection) -> f64 {
    let noise = noise();
    let ro = 15.0 - 1.5 * (SLR + noise);
    let delay_ms = connection.delay_ms.max(0.0);
    ro - simultaneous(ro, noise, delay_ms) - delayed(ro, noise, delay_ms) - equipment(connection) + ADVANTAGE
}

/// The mean opinion score (MOS-CQE) of a rating: 1 to 4.5 (G.107 Annex B).
pub(crate) fn score(rating: f64) -> f64 {
    let r = rating.clamp(0.0, 100.0);
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
}

/// The sum of all noise at the 0 dBr point (No): of the circuit, of both rooms, of the receiver.
fn noise() -> f64 {
    let olr = SLR + RLR;
    let send_room = PS - SLR - DS - 100.0 + 0.004 * (PS - olr - DS - 14.0).powi(2);
    let listener_sidetone = STMR + DR;
    let pre = PR + decibel(1.0 + power(10.0 - listener_sidetone));
    let receive_room = RLR - 121.0 + pre + 0.008 * (pre - 35.0).powi(2);
    decibel(power(NC) + power(send_room) + power(receive_room) + power(NFOR + RLR))
}

/// What is heard at the same time as the voice (Is): loudness, sidetone, quantising.
fn simultaneous(ro: f64, noise: f64, delay_ms: f64) -> f64 {
    let xolr = SLR + RLR + 0.2 * (64.0 + noise - RLR);
    let loudness = 20.0 * ((1.0 + (xolr / 8.0).powi(8)).powf(1.0 / 8.0) - xolr / 8.0);
    let stmr = -decibel(power(-STMR) + (-delay_ms / 4.0).exp() * power(-TELR));
    let sidetone = 12.0 * (1.0 + ((stmr - 13.0) / 6.0).powi(8)).powf(1.0 / 8.0)
        - 28.0 * (1.0 + ((stmr + 1.0) / 19.4).powi(35)).powf(1.0 / 35.0)
        - 13.0 * (1.0 + ((stmr - 3.0) / 33.0).powi(13)).powf(1.0 / 13.0)
        + 29.0;
    let q = 37.0 - 15.0 * QDU.log10();
    let g = 1.07 + 0.258 * q + 0.0602 * q * q;
    let y = (ro - 100.0) / 15.0 + 46.0 / 8.4 - g / 9.0;
    let z = 46.0 / 30.0 - g / 40.0;
    let quantising = 15.0 * (1.0 + 10.0_f64.powf(y) + 10.0_f64.powf(z)).log10();
    loudness + sidetone + quantising
}

/// What comes late (Id): the talker's echo, the listener's echo, and the delay itself.
fn delayed(ro: f64, noise: f64, delay_ms: f64) -> f64 {
    let terv = TELR - 40.0 * ((1.0 + delay_ms / 10.0) / (1.0 + delay_ms / 150.0)).log10()
        + 6.0 * (-0.3 * delay_ms * delay_ms).exp();
    let re = 80.0 + 2.5 * (terv - 14.0);
    let roe = -1.5 * (noise - RLR);
    let half = (roe - re) / 2.0;
    let talker = (half + (half * half + 100.0).sqrt() - 1.0) * (1.0 - (-delay_ms).exp());
    let rle = 10.5 * (WEPL + 7.0) * (2.0 * delay_ms + 1.0).powf(-0.25);
    let half = (ro - rle) / 2.0;
    let listener = half + (half * half + 169.0).sqrt();
    talker + listener + too_late(delay_ms)
}

/// The delay itself, beyond 100 ms (Idd), for people who interact as usual.
fn too_late(delay_ms: f64) -> f64 {
    if delay_ms <= 100.0 {
        return 0.0;
    }
    let x = (delay_ms / 100.0).log2();
    25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0) + 2.0)
}

/// The codec and what loss does to it (Ie,eff).
fn equipment(connection: &Connection) -> f64 {
    let Equipment { ie, bpl } = connection.equipment;
    let loss = connection.loss_percent.clamp(0.0, 100.0);
    if loss <= 0.0 {
        return ie;
    }
    ie + (95.0 - ie) * loss / (loss / connection.burst_ratio.max(1.0) + bpl)
}

fn power(decibels: f64) -> f64 {
    10.0_f64.powf(decibels / 10.0)
}

fn decibel(power: f64) -> f64 {
    10.0 * power.log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Connection =
        Connection { delay_ms: 0.0, loss_percent: 0.0, burst_ratio: 1.0, equipment: Equipment::G711 };

    #[track_caller]
    fn close(found: f64, wanted: f64, within: f64) {
        assert!((found - wanted).abs() <= within, "{found} is not {wanted}");
    }

    #[test]
    fn the_defaults_of_the_recommendation_rate_93_2_and_score_4_41() {
        let r = rating(&CALM);
        close(r, 93.2, 0.05);
        close(score(r), 4.41, 0.005);
    }

    #[test]
    fn scores_are_those_of_table_b_1() {
        for (r, mos) in [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)] {
            close(score(r), mos, 0.01);
        }
        assert_eq!((score(-5.0), score(0.0), score(100.0), score(120.0)), (1.0, 1.0, 4.5, 4.5));
    }

    #[test]
    fn loss_impairs_g711_as_its_ie_and_bpl_say() {
        // 95 × Ppl ÷ (Ppl + 25.1), by hand.
        for (loss_percent, impairment) in [(1.0, 3.64), (3.0, 10.14), (10.0, 27.07), (20.0, 42.13)] {
            close(rating(&CALM) - rating(&Connection { loss_percent, ..CALM }), impairment, 0.01);
        }
        // G.729A with 2 % of random loss (Ie 11, Bpl 19): 11 + 84 × 2 ÷ 21 = 19.
        let g729 = Connection { loss_percent: 2.0, equipment: Equipment { ie: 11.0, bpl: 19.0 }, ..CALM };
        close(rating(&CALM) - rating(&g729), 19.0, 0.01);
    }

    #[test]
    fn loss_in_bursts_is_worse_than_the_same_loss_spread() {
        let spread = Connection { loss_percent: 5.0, ..CALM };
        let bursts = Connection { burst_ratio: 4.0, ..spread };
        // 95 × 5 ÷ (5 ÷ 4 + 25.1)
        close(rating(&CALM) - rating(&bursts), 18.03, 0.01);
        assert!(rating(&bursts) < rating(&spread));
    }

    #[test]
    fn delay_hardly_matters_to_150_ms_and_much_beyond_300() {
        let at = |delay_ms| rating(&CALM) - rating(&Connection { delay_ms, ..CALM });
        // Between the lines of the well known figure of G.114: R is 90 at 150 ms, about 72 at 300, 59 at 400.
        assert!(at(150.0) < 6.0, "{}", at(150.0));
        assert!((15.0..26.0).contains(&at(300.0)), "{}", at(300.0));
        assert!((27.0..38.0).contains(&at(400.0)), "{}", at(400.0));
        let rising: Vec<f64> = (0..60).map(|step| at(f64::from(step) * 10.0)).collect();
        assert!(rising.is_sorted(), "{rising:?}");
    }

    #[test]
    fn the_worst_inputs_still_give_a_score() {
        let worst = Connection { delay_ms: 1e6, loss_percent: 1e6, burst_ratio: 1e6, ..CALM };
        assert_eq!(score(rating(&worst)), 1.0);
        let odd = Connection { delay_ms: -1.0, loss_percent: -1.0, burst_ratio: 0.0, ..CALM };
        close(score(rating(&odd)), 4.41, 0.005);
    }
}
