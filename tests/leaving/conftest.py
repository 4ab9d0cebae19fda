from tests.kyc.sending import opened

__all__ = ["opened"]
