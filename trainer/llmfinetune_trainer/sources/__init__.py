"""Where models and data come from: Hugging Face, volumes, local paths, https, ConfigMaps."""
