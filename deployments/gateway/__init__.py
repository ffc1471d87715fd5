"""The REST gateway: an OpenAI-compatible API over pools of diffusion workers."""
