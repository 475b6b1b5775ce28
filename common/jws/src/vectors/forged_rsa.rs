//! Signatures made by hand with the private key that RFC 7515 A.2 publishes, each wrong in one respect (RFC 8017 §8).
//! Not here: how the library finds out.

/// The same hand, doing it right: so that the others fail for the reason they say.
pub(crate) const SOUND: [(&str, &str); 3] = [
    (
        "RS256",
        concat!(
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.Rt2EPvw7qQKB8gPUoype1SjUN8j6lmAB8udxbbtCBSs4I_4c9wx",
            "5sCCGaeMBwweY22G_6WLSViUETaFl4alEPknZKBXeLgfsUJ7L2sh20kn2Cm57wLkbCMmaaZVafDzQ8H6DtF0_4wR",
            "kwsxErMzERPT5iWkIcMUUmPAwl1efd52Ez555zxvrm6TzECrC4uKG4XKC7dz_2mOm_KU1B8BFTRasOH5fwqaYThN",
            "QbTSf7OMkDzCAf8IZ_J37V7lGNQYnFRFe27Iu5WpPHt2waimjOeYE6m62yeXgtqDur25iIAmRcYOlioEx9Lw8Ivc",
            "MXCuGzoz_JHGHfYvZ29sA76g43Q",
        ),
    ),
    (
        "RS256, the one with a small s",
        concat!(
            "eyJhbGciOiJSUzI1NiJ9.eyJuIjowfQ.GTOvOdmk16dRk5YgGvU-Al0u7vamMLtzVvJpZ5Pvd0cQ8Nha_iuYQdZP",
            "835GxQ8mIATW4Bu8ctXPN9i5S7EC2Re7EBAI7a9dMj2RdHyPPGbM5A-YwhLfTdIjb0UYYCnheLbLM2wB4rSISPFL",
            "0pAmNYvA9erQ7vo3u2WkNJtLd5zb5mWeYsbha67rQ8jtsAeU2RXMMRcYXgvlrcsNe2ZIPQvCGEKzUg1z59asvjoZ",
            "JDvz-qFjpnlj0FMFWb41hBFxzo7Vpi7Pj54dydnvTTgHAjzxM-BnRiwXheZAH9kRquEkUb-XoZXygQsbCwH0z2IA",
            "zBYbPQ7lc1zZTwhQT1mefA",
        ),
    ),
    (
        "PS256",
        concat!(
            "eyJhbGciOiJQUzI1NiJ9.eyJzdWIiOiJ4In0.fraKC1teIDr0NU08EtLcUYC1QH8JaOWHmtDiDLMuFShp5XUAU7I",
            "Q1Ka57pBC9rtk0DQ57Aq4z688iluyuzbuWIVNWBKw1S_lXHMd0dZ1ZL-4iwmhsNA75YRUvnSIF0XwLYO8VIbulun",
            "35s1FUi6zXcWPNhPCQ9rxkP7QrI0BD8yS4AqZ2qTwRiVoUUugczipNsr2ti3AveQgAvCRRGypBwrMbTec9sCsS2F",
            "w2l7eZZvmxbHyuJzU37emUJ5iUM600Q2daTG-PdJEGF7SRPNhrlF5NuAXoMk24L9ziou6OhDkyYi1tbvcoMdgW2g",
            "zuPv_6wzF-qnNj1kZXh80e_K6RA",
        ),
    ),
];

/// Each must be refused.
pub(crate) const FORGED: [(&str, &str); 15] = [
    (
        "DigestInfo without NULL",
        concat!(
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.UHUmde0zwbkMYr16Q5oiTISbzwizdMgoP-mBPJqgAE-h_3T89aL",
            "tQ4_jvWCOycJdqCQSakDcxeb8kT6DPXuskILuQo9MHYI7ugrgEUT1A8GaiyM42yO2NTya6Ohr5xhn_DT9Socau44",
            "tQ58nsu8uxWDWNlPMn1ErRd4XR2Op9gjFkEmbkxdfkU_nxtlN-XPTjiBOyaJc3WiGimYmvP_a2KlpJCkumBczFxU",
            "YHLpch4RXo-ivfeBWycN0c6FhO6iw-8b4oozGjSRIR4ECOWcSs-scCqvXvO6Kp4nIJDv_GkmFQ-x_fUtjR0JsGdR",
            "RcLlx0foaTf2F6lkuFO258F4P1Q",
        ),
    ),
    (
        "garbage inside the DigestInfo",
        concat!(
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.MDw2XFfgehbsBZCsHzk-62wpM1o96bdJpSN5nyxtd56XX8h-8dP",
            "zQ-Ncb3qYoN5-Y9--7zCUeguF9PRl0Ii9TWKthlIKlgh78kq9pKviJOyI3aKO6ExtkZl8Nt7KLN1oTvbzW6s1J58",
            "vZvMugh8uM4XJEEeTynM--1NhWjhHtDKjT43c_2qLob6zbBiKLVrpc_0GnZDO3dhPDXzefciKHUyt5h1OX1_OL5F",
            "VQaVcEy3CEoqMFMb0WIQFe7LfchEfo6ugJQS7IJzG8boj-bOjx-hZnRksklpmVSchalLHHpAQ-0Hz03PL2SLJC3l",
            "8Pedqj904dFprXp386RPP6E85SA",
        ),
    ),
    (
        "short padding, garbage behind the hash",
        concat!(
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.ZLNtnD1FE06O2ESshsWuLUR8JBJdVTpaoJfxzBjNfYeke8a9_ux",
            "LrbKkb5Ns4ibbyGP6K6I1qOQ2IjVgC-1aSFndZyDVtZh39UOO0_27CVNUVzYcrnYEYSo8mAkZgGTY5OnQKFUwq7N",
            "k8iXkv7iNJy3PQeEoONONw5qLvKgnZufGgAc76FyLevzRXckYj8CrPxG41ZbTx1ODa2j7vgoW8TDvSKg8Pyc-ktR",
            "FACaeIRrJscbD_TQKSecjW-iDFrKWxog4TFBC_ulUjRsqG8AGdTtTa_q7L0-CL1YRqqI9V4sKc7bRf38O-gHAvsV",
            "P2hWzLEMlwGfLa_fo7G_09mgSAA",
        ),
    ),
    (
        "block type 2",
        concat!(
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.Ai_nu-oULHvITH779Fi8wGMG8kDguhYppcRsronvB1Zy0kZXAaX",
            "Rtct5z5ExytGZkvAXFEJkQFgLwb3JvlQet0dD4bYXi_Z4RzFHtMfdc-YtD-Q-lrSBx35377P4uhmh1cPz1DUM76p",
            "0cM8NHqUDgSsxCU_NdzsM9BkJUi4qezCN31mSPKm7Q9DX337ow-ZvcbuD7AFgA0zXU4DQDw3N3nAn4xULtmJ4hVX",
            "Bcl8k-Lr9snAEvb93mpE3AF2lUFAEtaUBh1WFjpl0kPSA4ZHxHnOyeQberyN-duhyEF1Lzp58qjyXefn8QJP_vqG",
            "uR57uNPIczL8F-hGjoLnqNshjPA",
        ),
    ),
    (
        "block type 0",
        concat!(
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.hslPmd8TC_q1NNmuzr1WFJL0yEoRvd-NcuEJ98KNtRPJ4HgUfsx",
            "LOA6giTVT18UOZ9_e2PdrlNaslapTagjMNpqlhJeZyHxGgefCVm_Rf5KG4CbxSNrZdyrPlvoKWaE67I_NiYDVk6N",
            "n4PGnwxpUNJgQPmM2sa_AEsyVePO07iN_xgaTqD0PhH3rLPDsFaqfBZZSOZnylJV9-uX7b8orzbFxDcsG66DrSuC",
            "S8glnfblpQfZyc-Gy0R809q-sXsfSiuzZiSsrfrbJn4OYDf2wqLA-PnmS_xgM652byc5M4oupj5crHjd62eL0vVH",
            "3oogLHB-LeMsEYr-tLbxDOas-oQ",
        ),
    ),
    (
        "hash of SHA-512 under RS256",
        concat!(
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.NxM4k3HbfGY5e7-2BN6u_9zEV7WplDEnb4_swWDQx2jCnrWyHcq",
            "U2jIjqgFnYO6G61smyKa7IPWXR0JZtcvhM6haqS73W4wLF3Ls2uNCzUHUwsK18XkIBXh7k9c6PJcEx7qH0YFrz1_",
            "K3JlblJ2qOOJHGO64XOzaghU_01x-owVyV_SzdJCsdJuseiPmt_6rY_4KsnGpxqS622R43IG5hm47NdUdk9uQ5kE",
            "C1gp5LNZna8UO79FAoroovY_3OKax7pJlwsDhz1F2zrYzuFCXvIfj3lDaJ58QHMe7NhCa1sZsmBlk0IJUb7cqBJI",
            "pbJVTimOFPfOWOpTXyQ8CsN-bww",
        ),
    ),
    (
        "PSS under RS256",
        concat!(
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.EIEyy9xixXt0zs0TPCvcWZPjTN6kwN3Fth65QzVXPcKBDewi1HY",
            "uw8B91nCpWXDmU75t2dGW5ln0Ark3PGRNdabdBxaetQk5ac7jcX_ACq8K7nSryJq7ZmDjHAaH7LC-FpPLJfG_2k_",
            "PBDtGSIcLL8ouO4WcBO9YZ1RqOkJaDKKPyoBRJUuJpaVaEhUKtlal-A1Ihje753xDyDmJGU01JzhwKIPEcMNflZp",
            "kCvg_ZHZ63Byoa1I6RKoXKe1qnvuUxqTloJMoM1QIe3feKt_R085toH0ZBFm1kHXuNNrGe2-zOE_JF37EnyvGNbx",
            "gIXjOjy9efutTJQeGXbok8aTOkg",
        ),
    ),
    (
        "PKCS #1 v1.5 under PS256",
        concat!(
            "eyJhbGciOiJQUzI1NiJ9.eyJzdWIiOiJ4In0.eiyfSbB4_H44CCUf_rkWUDElzgby4-nBSe7cOer__o5ll3GZ9U9",
            "RUJdnV_EcZE8l_HP9-O3v3DV98_nLFYT6ek-05ZghGfM6pNECt5kgVOONB560E4Yo1aTF5a9Caf236ajlrZ-xwaY",
            "MOlQXXGrPncol-lFXQV8k18FQYyWhQlKEQybLdMaswb7_8Euuk1ndjO7W6oVdEkpgAVHp9JsFFg059ub0QpAOrim",
            "HZIBIgYeXtlpX8NAGsW-bdjY-fIINzXvMvWK2nWcTy9v8g2Stvz3vMhavPYWpO5exAGZl6KJ-nkNpqmNQVISKqla",
            "h4edWi05j0Ugd8bwRf_0Yz2Prhw",
        ),
    ),
    (
        "PSS with an empty salt",
        concat!(
            "eyJhbGciOiJQUzI1NiJ9.eyJzdWIiOiJ4In0.bC9HVe54SDflrRhFGM9e3SW2BPOCPRtvesb9mL6OsQihz57bhNM",
            "BEE1K3vLGNCxwV1ouM9r67QpWBsLDPfvvo4ZD_-GbIZ1e2ap_PUMvXapafVA9EWlEQXFTZsL1Navw6tOa6NoxfDx",
            "8SkYDsZ84GJ71GQO-iPyhk-RAo2NYxmoZ60hGVuXMOtIGxxIdW_f3gzXgg9llgl7XoXUuJ6GSajHAm7pAUUClny_",
            "LVOQD4CsBQ4D54ULrSLfcc_0MsDZKJG1J9G76myJHj62C1qCfQB3sgzmVucFJxU9EpxhahsURm-Lr6gyt8LDpEo-",
            "2uymz-_5NGmym2fxIzJNjB1KxTg",
        ),
    ),
    (
        "PSS with a long salt",
        concat!(
            "eyJhbGciOiJQUzI1NiJ9.eyJzdWIiOiJ4In0.mzDh9jJFDB5cggQnKel8eWrIvQMEXMnteOchdcYmW2qsg-VLSlR",
            "ZagkkoeTAFkydSkHMTFBXKUXGQOuCLRHuDtnHfrC4jxl17MQJbPGmcT3A8wKbVjO4SH2Bnb9Ytq0TVQH4FWMiXbD",
            "hJq_hXo5HNvOTLBQEyeHB16lLJPV7JjvJF22vx8PoJE20YIt03SY_F3dFd88VSDZnD7OkNafsS_fsrVyubeRy79F",
            "qknj4xPf9PEIrikB--1Niqk4GDrpSmOvjWJ_DSOxThr5R7drBNS-l8JveS34WExYr9ucIKK7Yvv2lth8RXLmEEWw",
            "gxt8p2qPVAkJQJIAt3Udqc-KGFA",
        ),
    ),
    (
        "s plus the modulus",
        concat!(
            "eyJhbGciOiJSUzI1NiJ9.eyJuIjowfQ.uyvFRLyIoVu3YiNNgFehOIjBbLTQEquXzu5_jWCAGH30fLGPlfFPLDot",
            "apAtQYNQGVuH26ZLe3Crg0JCiHI2GGuo4CnBZTOCYioixGEUs9AmL_nbQuYLXSfi0dlncy14NSVnEtq_tXIrsIA4",
            "c1aPLI10g6rMJ8Jr6EiiocNGVec2Lto2AJubO0nKCJBItYzBBSUrKbzZ0w94pw_2aMsJTdJ4X6NN9oWu03MZWRFu",
            "VWxEXiznDNXTP82H_VSlrjDV6hGpkiEIsbdm6ZB11GReGTH8LBX04Le0namAkmiRMrm-apiUTP2gBWQnOdFqYps3",
            "CB0ein5F4vr7L1ynGj-IHQ",
        ),
    ),
    (
        "one zero byte before s",
        concat!(
            "eyJhbGciOiJSUzI1NiJ9.eyJuIjowfQ.ABkzrznZpNenUZOWIBr1PgJdLu72pjC7c1byaWeT73dHEPDYWv4rmEHW",
            "T_N-RsUPJiAE1uAbvHLVzzfYuUuxAtkXuxAQCO2vXTI9kXR8jzxmzOQPmMIS303SI29FGGAp4Xi2yzNsAeK0iEjx",
            "S9KQJjWLwPXq0O76N7tlpDSbS3ec2-ZlnmLG4Wuu60PI7bAHlNkVzDEXGF4L5a3LDXtmSD0LwhhCs1INc-fWrL46",
            "GSQ78_qhY6Z5Y9BTBVm-NYQRcc6O1aYuz4-eHcnZ7004BwI88TPgZ0YsF4XmQB_ZEarhJFG_l6GV8oELGwsB9M9i",
            "AMwWGz0O5XNc2U8IUE9Znnw",
        ),
    ),
    (
        "s is zero",
        concat!(
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ),
    ),
    (
        "s is one",
        concat!(
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAQ",
        ),
    ),
    (
        "s is the modulus",
        concat!(
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W",
            "26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2",
            "jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665x",
            "smtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs9",
            "1kzk2PAcDTW9gb54h4FRWyuXpoQ",
        ),
    ),
];
