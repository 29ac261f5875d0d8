"""How the bundled clip is made: objects, stage, script, renderer, encoder.

Not needed to run Twinlens. To make the clip again::

    pip install bpy imageio-ffmpeg
    python -m twinlens.assets.clip.render frames
    python -m twinlens.assets.clip.encode frames
"""
