// Command gpu-device-plugin advertises simulated GPUs to the kubelet of the local cluster.
//
// It speaks the same protocol as NVIDIA's plugin: the kubelet counts the devices, gives each to one container and sets
// NVIDIA_VISIBLE_DEVICES. Where NVIDIA's container toolkit mounts the driver into such a container, this one mounts the
// host folders named with -mount read-only: that is how the CPU engine gets into a pod without a 6 GB image.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"k8s.io/klog/v2"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
	"k8s.io/kubernetes/pkg/kubelet/cm/devicemanager/plugin/v1beta1"
)

type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

func devices(count int) []*api.Device {
	var all []*api.Device
	for i := range count {
		all = append(all, &api.Device{ID: fmt.Sprintf("GPU-%d", i), Health: api.Healthy})
	}
	return all
}

// mounts turns "HOST:CONTAINER" (or "PATH" for the same path on both sides) into read-only bind mounts.
func mounts(specs []string) []*api.Mount {
	var all []*api.Mount
	for _, spec := range specs {
		host, container, two := strings.Cut(spec, ":")
		if !two {
			container = host
		}
		all = append(all, &api.Mount{HostPath: host, ContainerPath: container, ReadOnly: true})
	}
	return all
}

func run() error {
	resource := flag.String("resource", "nvidia.com/gpu", "name of the extended resource")
	count := flag.Int("count", 8, "number of devices")
	var mountSpecs list
	flag.Var(&mountSpecs, "mount", "HOST:CONTAINER folder or file mounted read-only into each container with a device (repeat)")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	log := klog.FromContext(ctx)
	socket := api.DevicePluginPath + strings.NewReplacer("/", "-", ".", "-").Replace(*resource) + ".sock"
	plugin := v1beta1.NewDevicePluginStub(log, devices(*count), socket, *resource, false, false)
	plugin.SetAllocFunc(func(request *api.AllocateRequest, _ map[string]*api.Device) (*api.AllocateResponse, error) {
		response := &api.AllocateResponse{}
		for _, container := range request.ContainerRequests {
			response.ContainerResponses = append(response.ContainerResponses, &api.ContainerAllocateResponse{
				Mounts: mounts(mountSpecs),
				Envs:   map[string]string{"NVIDIA_VISIBLE_DEVICES": strings.Join(container.DevicesIds, ",")},
			})
		}
		return response, nil
	})
	if err := plugin.Start(ctx); err != nil {
		return fmt.Errorf("cannot serve on %s: %w", socket, err)
	}
	defer plugin.Stop(log)
	if err := plugin.Register(ctx, api.KubeletSocket, *resource, api.DevicePluginPath); err != nil {
		return fmt.Errorf("the kubelet refused %s: %w", *resource, err)
	}
	go plugin.Watch(ctx, api.KubeletSocket, *resource, api.DevicePluginPath) // registers again when the kubelet restarts
	<-ctx.Done()
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gpu-device-plugin:", err)
		os.Exit(1)
	}
}
