// Command argocd holds the parts of Argo CD that the GitOps tests need in one binary: the application controller, the
// ApplicationSet controller, the repository server and the helper that git asks for passwords.
//
// Left out on purpose: the API server with its web pages and the command line. The tests speak to the Kubernetes API.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	applicationcontroller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	applicationset "github.com/argoproj/argo-cd/v3/cmd/argocd-applicationset-controller/commands"
	gitaskpass "github.com/argoproj/argo-cd/v3/cmd/argocd-git-ask-pass/commands"
	reposerver "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	"github.com/argoproj/argo-cd/v3/util/log"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
)

var programs = map[string]func() *cobra.Command{
	"argocd-application-controller":    applicationcontroller.NewCommand,
	"argocd-applicationset-controller": applicationset.NewCommand,
	"argocd-git-ask-pass":              gitaskpass.NewCommand,
	"argocd-repo-server":               reposerver.NewCommand,
}

func main() {
	klog.SetLogger(log.NewLogrusLogger(log.NewWithCurrentConfig()))
	program, known := programs[filepath.Base(os.Args[0])]
	if !known {
		fmt.Fprintln(os.Stderr, "argocd: call it by the name of one of its programs, such as argocd-repo-server")
		os.Exit(2)
	}
	if err := program().Execute(); err != nil {
		os.Exit(1)
	}
}
