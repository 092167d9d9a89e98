package main

import (
	"fmt"
	"net"
	"time"
)

// group is what holds the pods of one replica together: every worker keeps a connection to the leader. As with NCCL, a
// member that is lost breaks the whole group.
type group struct {
	complete <-chan struct{} // closed when all workers are there
	broken   <-chan struct{} // closed when a member is lost
}

func joinGroup(settings settings) (*group, error) {
	complete, broken := make(chan struct{}), make(chan struct{})
	members := &group{complete: complete, broken: broken}
	switch {
	case settings.nodes <= 1:
		close(complete)
	case settings.worker():
		go follow(net.JoinHostPort(settings.masterAddr, fmt.Sprint(settings.masterPort)), broken)
		close(complete)
	default:
		listener, err := net.Listen("tcp", fmt.Sprintf(":%d", settings.masterPort))
		if err != nil {
			return nil, err
		}
		go gather(listener, settings.nodes-1, complete, broken)
	}
	return members, nil
}

// gather accepts workers until all are there, then watches them.
func gather(listener net.Listener, workers int, complete, broken chan struct{}) {
	lost := make(chan struct{}, workers)
	for range workers {
		connection, err := listener.Accept()
		if err != nil {
			continue
		}
		go watch(connection, lost)
	}
	close(complete)
	<-lost
	close(broken)
}

// follow connects a worker to its leader, whose address may not resolve yet, and watches the connection.
func follow(address string, broken chan struct{}) {
	for {
		connection, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			lost := make(chan struct{}, 1)
			watch(connection, lost)
			close(broken)
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func watch(connection net.Conn, lost chan<- struct{}) {
	var nothing [1]byte
	_, _ = connection.Read(nothing[:]) // returns when the other side is gone: nobody writes
	lost <- struct{}{}
}
